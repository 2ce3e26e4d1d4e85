{{- define "capstan.deployment" -}}
{{- $values := .root.Values -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "capstan.fullname" .root }}
  labels: {{- include "capstan.labels" . | nindent 4 }}
spec:
  replicas: {{ $values.replicas }}
  revisionHistoryLimit: 3
  strategy: {type: RollingUpdate, rollingUpdate: {maxUnavailable: 0, maxSurge: 1}}
  selector:
    matchLabels: {{- include "capstan.selector" . | nindent 6 }}
  template:
    metadata:
      labels: {{- include "capstan.labels" . | nindent 8 }}
        {{- with $values.pod.labels }}{{ toYaml . | nindent 8 }}{{ end }}
      annotations:
        capstan.dev/config-checksum: {{ include "capstan.configData" . | sha256sum }}
        {{- with $values.pod.annotations }}{{ toYaml . | nindent 8 }}{{ end }}
    spec: {{- include "capstan.podSpec" . | nindent 6 }}
{{- end }}

{{- define "capstan.podSpec" -}}
{{- $values := .root.Values -}}
serviceAccountName: {{ include "capstan.fullname" .root }}
automountServiceAccountToken: {{ not (empty .rules) }}
enableServiceLinks: false
terminationGracePeriodSeconds: 30
{{- with $values.global.image.pullSecrets }}
imagePullSecrets: {{- range . }}{{ dict "name" . | list | toYaml | nindent 2 }}{{ end }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- with $values.pod.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $values.pod.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.pod.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
affinity: {{- include "capstan.affinity" . | nindent 2 }}
initContainers:
  {{- with .init }}{{ . | nindent 2 }}{{ end }}
  - name: migrate
    command: [/opt/capstan/bin/python, -P, -m, capstan_{{ .component | replace "-" "_" }}]
    args: [migrate]
    {{- include "capstan.container" . | nindent 4 }}
containers:
  - name: {{ .component }}
    command: {{- include "capstan.command" . | nindent 6 }}
    args: [serve]
    {{- include "capstan.container" . | nindent 4 }}
    ports:
      - {name: http, containerPort: {{ .self.port }}}
      {{- with .ports }}{{ . | nindent 6 }}{{ end }}
    startupProbe: {httpGet: {path: /healthz, port: http}, periodSeconds: 1, timeoutSeconds: 5, failureThreshold: 120}
    livenessProbe: {httpGet: {path: /healthz, port: http}, periodSeconds: 10, timeoutSeconds: 5, failureThreshold: 6}
    readinessProbe: {httpGet: {path: /readyz, port: http}, periodSeconds: 3, timeoutSeconds: 5, failureThreshold: 3}
  {{- with .containers }}{{ . | nindent 2 }}{{ end }}
volumes:
  - {name: home, emptyDir: {sizeLimit: {{ $values.homeSize }}}}
  - {name: tmp, emptyDir: {sizeLimit: {{ $values.global.tmpSize }}}}
  - {name: principals, secret: {secretName: {{ include "capstan.identities" .root }}-principals, defaultMode: 0440}}
  - {name: identity, secret: {secretName: {{ include "capstan.identities" .root }}-identity-{{ .component }}, defaultMode: 0440}}
  {{- with .volumes }}{{ . | nindent 2 }}{{ end }}
{{- end }}

{{- define "capstan.affinity" -}}
{{- if .root.Values.pod.affinity -}}
{{ toYaml .root.Values.pod.affinity }}
{{- else -}}
podAntiAffinity:
  preferredDuringSchedulingIgnoredDuringExecution:
    - weight: 100
      podAffinityTerm:
        topologyKey: kubernetes.io/hostname
        labelSelector:
          matchLabels: {{- include "capstan.selector" . | nindent 12 }}
{{- end }}
{{- end }}

{{/* What the containers that run the service's own code have in common. */}}
{{- define "capstan.container" -}}
{{- $values := .root.Values -}}
image: {{ include "capstan.image" .root }}
imagePullPolicy: {{ $values.global.image.pullPolicy }}
terminationMessagePolicy: FallbackToLogsOnError
securityContext: {{- include "capstan.containerSecurity" .root | nindent 2 }}
resources: {{- toYaml $values.resources | nindent 2 }}
envFrom:
  - configMapRef: {name: {{ include "capstan.fullname" .root }}}
env: {{- include "capstan.env" . | nindent 2 }}
volumeMounts:
  - {name: home, mountPath: /var/lib/capstan}
  - {name: tmp, mountPath: /tmp}
  - {name: principals, mountPath: /etc/capstan/principals, readOnly: true}
  - {name: identity, mountPath: /etc/capstan/identity, readOnly: true}
  {{- with .mounts }}{{ . | nindent 2 }}{{ end }}
{{- end }}

{{/* How the service itself is started; not its migration, which has to come to an end. */}}
{{- define "capstan.command" -}}
- /opt/capstan/bin/python
- -P
- -m
{{- if .root.Values.development.reload }}
- capstan_servicekit.http.reload
{{- end }}
- capstan_{{ .component | replace "-" "_" }}
{{- end }}

{{/* Variables out of the data Secret: never in a ConfigMap, never on a command line. */}}
{{- define "capstan.env" -}}
{{- $secret := .root.Values.global.data.secret -}}
{{- $own := dict "CAPSTAN_DATABASE_URL" (printf "%s-database-url" .component) "CAPSTAN_BUS_PASSWORD" (printf "%s-bus-password" .component) "CAPSTAN_S3_ACCESS_KEY_ID" "s3-access-key-id" "CAPSTAN_S3_SECRET_ACCESS_KEY" "s3-secret-access-key" -}}
{{- if has "redis" .self.data -}}
{{- $_ := set $own "CAPSTAN_ONLINE_STORE_URL" "online-store-url" -}}
{{- end -}}
{{- range $name, $key := merge $own (.secrets | default dict) }}
- {name: {{ $name }}, valueFrom: {secretKeyRef: {name: {{ $secret }}, key: {{ $key }}}}}
{{- end }}
{{- end }}
