{{- define "data.labels" -}}
{{ include "data.selector" . }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end }}

{{- define "data.selector" -}}
app.kubernetes.io/name: {{ .component }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
app.kubernetes.io/part-of: capstan-data
{{- end }}

{{/* (root, key, length): a password of the Secret of the last install, or a new one. */}}
{{- define "data.password" -}}
{{- $secret := lookup "v1" "Secret" .root.Release.Namespace (printf "%s-passwords" .root.Release.Name) -}}
{{- $kept := get ($secret.data | default dict) .key -}}
{{- ternary ($kept | default "" | b64dec) (randAlphaNum 32) (not (empty $kept)) -}}
{{- end }}

{{/*
One data service: StatefulSet with one replica, its volume, its Service, and a policy that lets Capstan's pods in.
Arguments: root, component, port, user (uid), path (of the volume), container, volumes, mounts, init (texts), from, checksum.
*/}}
{{- define "data.service" -}}
{{- $values := get .root.Values .component -}}
{{- $name := printf "%s-%s" .root.Release.Name .component -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ $name }}
  labels: {{- include "data.labels" . | nindent 4 }}
spec:
  selector: {{- include "data.selector" . | nindent 4 }}
  ports: [{name: data, port: {{ .port }}, targetPort: data}]
---
apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: {{ $name }}
  labels: {{- include "data.labels" . | nindent 4 }}
spec:
  replicas: 1
  serviceName: {{ $name }}
  # The passwords go with the release, so the data that they open goes too.
  persistentVolumeClaimRetentionPolicy: {whenDeleted: Delete, whenScaled: Retain}
  selector:
    matchLabels: {{- include "data.selector" . | nindent 6 }}
  template:
    metadata:
      labels: {{- include "data.labels" . | nindent 8 }}
      {{- with .checksum }}
      annotations: {capstan.dev/config-checksum: {{ . }}}
      {{- end }}
    spec:
      automountServiceAccountToken: false
      enableServiceLinks: false
      terminationGracePeriodSeconds: 20
      securityContext:
        runAsNonRoot: true
        runAsUser: {{ .user }}
        runAsGroup: {{ .user }}
        fsGroup: {{ .user }}
        fsGroupChangePolicy: OnRootMismatch
        seccompProfile: {type: RuntimeDefault}
      {{- with .init }}
      initContainers: {{- . | nindent 8 }}
      {{- end }}
      containers:
        - name: {{ .component }}
          image: {{ $values.image }}
          imagePullPolicy: {{ .root.Values.imagePullPolicy }}
          terminationMessagePolicy: FallbackToLogsOnError
          ports: [{name: data, containerPort: {{ .port }}}]
          securityContext: {{- include "data.containerSecurity" . | nindent 12 }}
          resources: {{- toYaml $values.resources | nindent 12 }}
          volumeMounts:
            - {name: data, mountPath: {{ .path }}}
            - {name: tmp, mountPath: /tmp}
            {{- with .mounts }}{{ . | nindent 12 }}{{ end }}
          {{- .container | nindent 10 }}
      volumes:
        - {name: tmp, emptyDir: {sizeLimit: 256Mi}}
        {{- with .volumes }}{{ . | nindent 8 }}{{ end }}
  volumeClaimTemplates:
    - metadata: {name: data}
      spec:
        accessModes: [ReadWriteOnce]
        {{- with .root.Values.storageClass }}
        storageClassName: {{ . }}
        {{- end }}
        resources: {requests: {storage: {{ $values.storage }}}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ $name }}
  labels: {{- include "data.labels" . | nindent 4 }}
spec:
  podSelector:
    matchLabels: {{- include "data.selector" . | nindent 6 }}
  policyTypes: [Ingress, Egress]
  ingress:
    - ports: [{port: data}]
      from:
        - podSelector:
            matchLabels: {app.kubernetes.io/part-of: capstan}
            {{- with .from }}
            matchExpressions:
              - {key: app.kubernetes.io/component, operator: In, values: {{ toJson . }}}
            {{- end }}
{{- end }}

{{- define "data.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}
