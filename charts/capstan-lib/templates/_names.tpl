{{/* Names and labels. `.` is always the root of a chart here. */}}

{{/* The six services: port, whom each calls, which data services it uses. */}}
{{- define "capstan.services" -}}
ingestion: {port: 7101, calls: [], data: [postgresql, nats, s3]}
feature-store: {port: 7102, calls: [ingestion], data: [postgresql, nats, s3, redis]}
training: {port: 7103, calls: [ingestion, feature-store, registry], data: [postgresql, nats, s3]}
registry: {port: 7104, calls: [ingestion, feature-store, training, inference, monitoring], data: [postgresql, nats, s3]}
inference: {port: 7105, calls: [registry], data: [postgresql, nats, s3, redis]}
monitoring: {port: 7106, calls: [ingestion], data: [postgresql, nats, s3]}
{{- end }}

{{/* The installation: what all names begin with. */}}
{{- define "capstan.base" -}}
{{ .Values.global.name | default .Release.Name }}
{{- end }}

{{- define "capstan.fullname" -}}
{{ include "capstan.base" . }}-{{ .Chart.Name }}
{{- end }}

{{/* Prefix of the Secrets with identities. */}}
{{- define "capstan.identities" -}}
{{ .Values.global.identities.prefix | default (include "capstan.base" .) }}
{{- end }}

{{/* (root, component): what a selector matches; never changes. */}}
{{- define "capstan.selector" -}}
app.kubernetes.io/name: {{ .component }}
app.kubernetes.io/instance: {{ include "capstan.base" .root }}
app.kubernetes.io/component: {{ .component }}
app.kubernetes.io/part-of: capstan
{{- end }}

{{/* (root, component): all labels. */}}
{{- define "capstan.labels" -}}
{{ include "capstan.selector" . }}
app.kubernetes.io/version: {{ include "capstan.tag" .root | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end }}

{{- define "capstan.tag" -}}
{{ .Values.global.image.tag | default .Chart.AppVersion }}
{{- end }}

{{/* The image of this chart's service. */}}
{{- define "capstan.image" -}}
{{ with .Values.image }}{{ . }}{{ else }}{{ with .Values.global.image.registry }}{{ . }}/{{ end }}capstan/{{ .Chart.Name }}:{{ include "capstan.tag" . }}{{ end }}
{{- end }}

{{/* (root, service): base URL inside the cluster. */}}
{{- define "capstan.url" -}}
http://{{ include "capstan.base" .root }}-{{ .service }}:{{ (get (include "capstan.services" .root | fromYaml) .service).port }}
{{- end }}

{{/* What every container of ours may not do. */}}
{{- define "capstan.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: {{ not .Values.development.reload }}
capabilities: {drop: [ALL]}
{{- end }}
