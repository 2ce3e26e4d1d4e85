{{/* The streams of the event bus, made or brought up to date before anybody serves. */}}
{{- define "registry.streams" -}}
- name: streams
  image: {{ include "capstan.image" . }}
  imagePullPolicy: {{ .Values.global.image.pullPolicy }}
  command: [/opt/capstan/bin/python, -P, -m, capstan_servicekit.bus]
  terminationMessagePolicy: FallbackToLogsOnError
  securityContext: {{- include "capstan.containerSecurity" . | nindent 4 }}
  resources: {{- toYaml .Values.resources | nindent 4 }}
  env:
    - {name: CAPSTAN_BUS_URL, value: {{ .Values.global.data.nats.url | quote }}}
    - {name: CAPSTAN_BUS_REPLICAS, value: {{ .Values.streamReplicas | quote }}}
    - name: CAPSTAN_BUS_ADMIN_PASSWORD
      valueFrom: {secretKeyRef: {name: {{ .Values.global.data.secret }}, key: bus-admin-password}}
  volumeMounts:
    - {name: tmp, mountPath: /tmp}
{{- end }}

{{/* MLflow has no authentication of its own: it gets a socket that only this pod sees, and no port. */}}
{{- define "registry.config" -}}
{{- if .Values.mlflow.enabled -}}
CAPSTAN_REGISTRY_MLFLOW_URL: unix:///run/mlflow/mlflow.sock
CAPSTAN_REGISTRY_MLFLOW_ARTIFACTS: s3://{{ .Values.global.data.s3.bucket }}/{{ with .Values.global.data.s3.prefix }}{{ . }}/{{ end }}mlflow
{{- end }}
{{- end }}

{{- define "registry.mounts" -}}
{{- if .Values.mlflow.enabled -}}
- {name: mlflow, mountPath: /run/mlflow}
{{- end }}
{{- end }}

{{- define "registry.volumes" -}}
{{- if .Values.mlflow.enabled -}}
- {name: mlflow, emptyDir: {sizeLimit: 16Mi}}
- {name: mlflow-home, emptyDir: {sizeLimit: {{ .Values.homeSize }}}}
{{- end }}
{{- end }}

{{- define "registry.mlflow" -}}
{{- $secret := .Values.global.data.secret -}}
{{- $probe := list "/opt/capstan/bin/python" "-I" "-c" "import socket; socket.socket(socket.AF_UNIX).connect('/run/mlflow/mlflow.sock')" -}}
- name: mlflow
  image: {{ include "capstan.image" . }}
  imagePullPolicy: {{ .Values.global.image.pullPolicy }}
  command: [/opt/capstan/bin/python, -P, -m, capstan_registry]
  args: [serve-mlflow]
  terminationMessagePolicy: FallbackToLogsOnError
  securityContext: {{- include "capstan.containerSecurity" . | nindent 4 }}
  resources: {{- toYaml .Values.mlflow.resources | nindent 4 }}
  envFrom:
    - configMapRef: {name: {{ include "capstan.fullname" . }}}
  env:
    - {name: AWS_DEFAULT_REGION, value: {{ .Values.global.data.s3.region | quote }}}
    {{- with .Values.global.data.s3.endpoint }}
    - {name: MLFLOW_S3_ENDPOINT_URL, value: {{ . | quote }}}
    - {name: AWS_ENDPOINT_URL_S3, value: {{ . | quote }}}
    {{- end }}
    - {name: CAPSTAN_REGISTRY_MLFLOW_STORE_URL, valueFrom: {secretKeyRef: {name: {{ $secret }}, key: mlflow-database-url}}}
    - {name: AWS_ACCESS_KEY_ID, valueFrom: {secretKeyRef: {name: {{ $secret }}, key: s3-access-key-id}}}
    - {name: AWS_SECRET_ACCESS_KEY, valueFrom: {secretKeyRef: {name: {{ $secret }}, key: s3-secret-access-key}}}
  startupProbe: {exec: {command: {{ toJson $probe }}}, periodSeconds: 3, timeoutSeconds: 5, failureThreshold: 80}
  livenessProbe: {exec: {command: {{ toJson $probe }}}, periodSeconds: 30, timeoutSeconds: 10, failureThreshold: 4}
  readinessProbe: {exec: {command: {{ toJson $probe }}}, periodSeconds: 30, timeoutSeconds: 10, failureThreshold: 4}
  volumeMounts:
    - {name: mlflow-home, mountPath: /var/lib/capstan}
    - {name: tmp, mountPath: /tmp}
    - {name: mlflow, mountPath: /run/mlflow}
{{- end }}
