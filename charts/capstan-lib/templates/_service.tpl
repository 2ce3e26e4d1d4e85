{{/*
Everything that one service consists of. Arguments:
  root        the root of the service's chart
  config      text: further lines of its ConfigMap
  secrets     environment variables from keys of the data Secret, beside those that all have
  init        text: init containers that run before the migration
  containers  text: further containers of the pod
  mounts      text: further volume mounts of the service's container
  volumes     text: further volumes of the pod
  ports, services text: further ports of the service's container, and of its Service
  rules       text: what its service account may do; empty: nothing, and no token in the pod
  from, to    text: further NetworkPolicy rules
*/}}
{{- define "capstan.service" -}}
{{- $self := get (include "capstan.services" .root | fromYaml) .root.Chart.Name -}}
{{- $context := merge (dict "self" $self "component" .root.Chart.Name) . -}}
{{ include "capstan.config" $context }}
---
{{ include "capstan.account" $context }}
---
{{ include "capstan.deployment" $context }}
---
{{ include "capstan.kubernetesService" $context }}
{{- if gt (int .root.Values.replicas) 1 }}
---
{{ include "capstan.disruption" $context }}
{{- end }}
{{- if .root.Values.global.networkPolicy.enabled }}
---
{{ include "capstan.network" $context }}
{{- end }}
{{- if .root.Values.global.serviceMonitor.enabled }}
---
{{ include "capstan.monitor" $context }}
{{- end }}
{{- end }}

{{- define "capstan.config" -}}
{{- $global := .root.Values.global -}}
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ include "capstan.fullname" .root }}
  labels: {{- include "capstan.labels" . | nindent 4 }}
data: {{- include "capstan.configData" . | nindent 2 }}
{{- end }}

{{- define "capstan.configData" -}}
{{- $root := .root -}}
{{- $global := .root.Values.global -}}
{{- $peers := dict -}}
{{- range $name, $ignored := include "capstan.services" .root | fromYaml -}}
{{- $_ := set $peers $name (include "capstan.url" (dict "root" $root "service" $name)) -}}
{{- end -}}
CAPSTAN_HOST: "0.0.0.0"
CAPSTAN_LOG_LEVEL: {{ $global.logLevel }}
CAPSTAN_BUS_URL: {{ $global.data.nats.url | quote }}
CAPSTAN_PEERS: {{ $peers | toJson | quote }}
CAPSTAN_PRINCIPALS_FILE: /etc/capstan/principals/principals.json
CAPSTAN_TOKEN_FILE: /etc/capstan/identity/token
{{- with $global.data.s3 }}
CAPSTAN_OBJECT_STORE_URL: s3://{{ .bucket }}{{ with .prefix }}/{{ . }}{{ end }}
CAPSTAN_S3_ENDPOINT: {{ .endpoint | quote }}
CAPSTAN_S3_REGION: {{ .region | quote }}
{{- end }}
{{- $prefix := printf "CAPSTAN_%s_" (.component | upper | replace "-" "_") }}
{{- range $name, $value := .root.Values.settings }}
{{ $prefix }}{{ upper $name }}: {{ include "capstan.setting" $value | quote }}
{{- end }}
{{- with .config }}
{{ . }}
{{- end }}
{{- end }}

{{/* A setting as the environment has it. Helm reads numbers as floats: 10000000 must not become 1e+07. */}}
{{- define "capstan.setting" -}}
{{- if or (kindIs "map" .) (kindIs "slice" .) }}{{ toJson . }}
{{- else if and (kindIs "float64" .) (eq (floor .) .) }}{{ int64 . }}
{{- else }}{{ . }}
{{- end }}
{{- end }}

{{- define "capstan.account" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ include "capstan.fullname" .root }}
  labels: {{- include "capstan.labels" . | nindent 4 }}
automountServiceAccountToken: false
{{- if .rules }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {{ include "capstan.fullname" .root }}
  labels: {{- include "capstan.labels" . | nindent 4 }}
rules: {{- .rules | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{ include "capstan.fullname" .root }}
  labels: {{- include "capstan.labels" . | nindent 4 }}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: {{ include "capstan.fullname" .root }}}
subjects:
  - {kind: ServiceAccount, name: {{ include "capstan.fullname" .root }}, namespace: {{ .root.Release.Namespace }}}
{{- end }}
{{- end }}

{{- define "capstan.kubernetesService" -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ include "capstan.fullname" .root }}
  labels: {{- include "capstan.labels" . | nindent 4 }}
  {{- with .root.Values.service.annotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  type: {{ .root.Values.service.type }}
  selector: {{- include "capstan.selector" . | nindent 4 }}
  ports:
    - name: http
      port: {{ .self.port }}
      targetPort: http
      appProtocol: http
      {{- with .root.Values.service.nodePort }}
      nodePort: {{ . }}
      {{- end }}
    {{- with .services }}{{ . | nindent 4 }}{{ end }}
{{- end }}

{{- define "capstan.disruption" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "capstan.fullname" .root }}
  labels: {{- include "capstan.labels" . | nindent 4 }}
spec:
  maxUnavailable: 1
  selector:
    matchLabels: {{- include "capstan.selector" . | nindent 6 }}
{{- end }}

{{- define "capstan.monitor" -}}
{{- $values := .root.Values.global.serviceMonitor -}}
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata:
  name: {{ include "capstan.fullname" .root }}
  labels: {{- include "capstan.labels" . | nindent 4 }}
    {{- with $values.labels }}{{ toYaml . | nindent 4 }}{{ end }}
spec:
  selector:
    matchLabels: {{- include "capstan.selector" . | nindent 6 }}
  endpoints:
    - {port: http, path: /metrics, interval: {{ $values.interval }}}
{{- end }}
