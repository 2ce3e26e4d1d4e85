{{- define "training.config" -}}
CAPSTAN_TRAINING_EXECUTOR: {{ .Values.executor }}
{{- if eq .Values.executor "kubernetes" }}
CAPSTAN_TRAINING_RUN_IMAGE: {{ include "capstan.image" . }}
CAPSTAN_TRAINING_RUN_IMAGE_PULL_POLICY: {{ .Values.global.image.pullPolicy }}
CAPSTAN_TRAINING_RUN_SERVICE_ACCOUNT: {{ include "capstan.base" . }}-training-run
CAPSTAN_TRAINING_RUN_CALLBACK_URL: {{ include "capstan.url" (dict "root" . "service" "training") }}
CAPSTAN_TRAINING_RUN_OWNER: {{ include "capstan.base" . }}
{{- end }}
{{- end }}

{{- define "training.rules" -}}
- {apiGroups: [batch], resources: [jobs], verbs: [create, get, list, watch, delete]}
- {apiGroups: [""], resources: [pods], verbs: [get, list, watch, delete]}
- {apiGroups: [""], resources: [pods/log], verbs: [get]}
- {apiGroups: [""], resources: [secrets], verbs: [create]}
{{- end }}

{{- define "training.fromRuns" -}}
- ports: [{port: http}]
  from: {{- include "capstan.podPeer" (dict "root" . "component" "training-run") | nindent 4 }}
{{- end }}

{{- define "training.toTraining" -}}
- ports: [{port: {{ (include "capstan.services" . | fromYaml).training.port }}}]
  to: {{- include "capstan.podPeer" (dict "root" . "component" "training") | nindent 4 }}
{{- end }}
