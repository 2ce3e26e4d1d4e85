{{- define "inference.config" -}}
CAPSTAN_INFERENCE_MODEL_SERVERS: {{ .Values.modelServers.kind }}
{{- if eq .Values.modelServers.kind "kubernetes" }}
CAPSTAN_INFERENCE_MODEL_IMAGE: {{ include "capstan.image" . }}
CAPSTAN_INFERENCE_MODEL_IMAGE_PULL_POLICY: {{ .Values.global.image.pullPolicy }}
CAPSTAN_INFERENCE_MODEL_SERVICE_ACCOUNT: {{ include "capstan.base" . }}-model-server
CAPSTAN_INFERENCE_MODEL_REPLICAS: {{ .Values.modelServers.replicas | quote }}
{{- with .Values.modelServers.resources }}
CAPSTAN_INFERENCE_MODEL_CPU: {{ .requests.cpu }}/{{ .limits.cpu }}
CAPSTAN_INFERENCE_MODEL_MEMORY: {{ .requests.memory }}/{{ .limits.memory }}
{{- end }}
CAPSTAN_INFERENCE_CONTROL_URL: {{ include "capstan.url" (dict "root" . "service" "inference") }}
CAPSTAN_INFERENCE_MODEL_PRINCIPALS_SECRET: {{ include "capstan.identities" . }}-principals
CAPSTAN_INFERENCE_MODEL_TOKEN_SECRET: {{ include "capstan.identities" . }}-identity-model-server
CAPSTAN_INFERENCE_DATA_SECRET: {{ .Values.global.data.secret }}
CAPSTAN_INFERENCE_MODEL_OWNER: {{ include "capstan.base" . }}
{{- else }}
CAPSTAN_INFERENCE_MODEL_SERVER_HOST: "0.0.0.0"
{{- end }}
{{- end }}

{{- define "inference.rules" -}}
- {apiGroups: [apps], resources: [deployments], verbs: [create, get, list, watch, patch, delete]}
- {apiGroups: [""], resources: [services], verbs: [create, get, list, watch, patch, delete]}
- {apiGroups: [""], resources: [pods], verbs: [get, list, watch]}
{{- end }}

{{- define "inference.fromModelServers" -}}
- ports: [{port: http}]
  from: {{- include "capstan.podPeer" (dict "root" . "component" "model-server") | nindent 4 }}
{{- end }}

{{- define "inference.toModelServers" -}}
- ports: [{port: 7110}]
  to: {{- include "capstan.podPeer" (dict "root" . "component" "model-server") | nindent 4 }}
{{- end }}

{{/* The model server as a process of the service's own pod: it is one more port of that pod. */}}
{{- define "inference.childPort" -}}
- {name: models, containerPort: 7110}
{{- end }}

{{- define "inference.childService" -}}
- {name: models, port: 7110, targetPort: models, appProtocol: http}
{{- end }}

{{- define "inference.intoChild" -}}
{{- with .Values.global.networkPolicy.clients -}}
- ports: [{port: models}]
  from: {{- include "capstan.peers" . | nindent 4 }}
{{- end }}
{{- end }}

{{- define "inference.intoModelServers" -}}
- ports: [{port: 7110}]
  from:
    {{- include "capstan.podPeer" (dict "root" . "component" "inference") | nindent 4 }}
    {{- include "capstan.peers" .Values.global.networkPolicy.clients | nindent 4 }}
{{- end }}

{{- define "inference.outOfModelServers" -}}
- ports: [{port: {{ (include "capstan.services" . | fromYaml).inference.port }}}]
  to: {{- include "capstan.podPeer" (dict "root" . "component" "inference") | nindent 4 }}
{{ include "capstan.toData" (dict "root" . "service" "redis") }}
{{- end }}
