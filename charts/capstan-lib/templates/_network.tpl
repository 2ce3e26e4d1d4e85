{{/* NetworkPolicy of one service: who may come, where it may go. The umbrella denies the rest. */}}
{{- define "capstan.network" -}}
{{- $root := .root -}}
{{- $global := .root.Values.global -}}
{{- $component := .component -}}
{{- $services := include "capstan.services" .root | fromYaml -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ include "capstan.fullname" .root }}
  labels: {{- include "capstan.labels" . | nindent 4 }}
spec:
  podSelector:
    matchLabels: {{- include "capstan.selector" . | nindent 6 }}
  policyTypes: [Ingress, Egress]
  ingress:
    - ports: [{port: http}]
      from:
        {{- /* The service itself stands first: with no caller at all, an empty list would mean everybody. */}}
        {{- include "capstan.podPeer" . | nindent 8 }}
        {{- range $name, $one := $services }}
        {{- if has $component $one.calls }}
        {{- include "capstan.podPeer" (dict "root" $root "component" $name) | nindent 8 }}
        {{- end }}
        {{- end }}
        {{- include "capstan.peers" $global.networkPolicy.clients | nindent 8 }}
    {{- with .from }}{{ . | nindent 4 }}{{ end }}
  egress:
    {{- include "capstan.toDns" .root | nindent 4 }}
    {{- range .self.calls }}
    - ports: [{port: {{ (get $services .).port }}}]
      to: {{- include "capstan.podPeer" (dict "root" $root "component" .) | nindent 8 }}
    {{- end }}
    {{- range .self.data }}
    {{- include "capstan.toData" (dict "root" $root "service" .) | nindent 4 }}
    {{- end }}
    {{- if .rules }}
    {{- include "capstan.toApi" .root | nindent 4 }}
    {{- end }}
    {{- with .to }}{{ . | nindent 4 }}{{ end }}
{{- end }}

{{/* (root, component): the pods of one component of this installation, as an entry of a list. */}}
{{- define "capstan.podPeer" -}}
- podSelector:
    matchLabels:
      app.kubernetes.io/instance: {{ include "capstan.base" .root }}
      app.kubernetes.io/component: {{ .component }}
      app.kubernetes.io/part-of: capstan
{{- end }}

{{/* Peers of the values, as entries of a list. */}}
{{- define "capstan.peers" -}}
{{- range . }}
{{- if .cidr }}
- ipBlock: {cidr: {{ .cidr | quote }}}
{{- else }}
- {{- with .namespaceLabels }}
  namespaceSelector: {matchLabels: {{ toJson . }}}
  {{- end }}
  {{- if or .podLabels (not .namespaceLabels) }}
  podSelector: {matchLabels: {{ .podLabels | default dict | toJson }}}
  {{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "capstan.toDns" -}}
{{- with .Values.global.networkPolicy -}}
- ports: [{port: {{ .dnsPort }}, protocol: UDP}, {port: {{ .dnsPort }}, protocol: TCP}]
  to: {{- include "capstan.peers" .dns | nindent 4 }}
{{- end }}
{{- end }}

{{- define "capstan.toApi" -}}
{{- with .Values.global.networkPolicy.apiServer -}}
- ports: {{- range .ports }}{{ dict "port" . | list | toYaml | nindent 4 }}{{ end }}
  to: {{- include "capstan.peers" .peers | nindent 4 }}
{{- end }}
{{- end }}

{{/* (root, service): one data service. */}}
{{- define "capstan.toData" -}}
{{- with get .root.Values.global.data .service -}}
- ports: [{port: {{ .port }}}]
  to: {{- include "capstan.peers" .peers | nindent 4 }}
{{- end }}
{{- end }}

{{/*
NetworkPolicy of pods that a service starts itself: (root, component, from text, to text). No other way in or out.
*/}}
{{- define "capstan.startedNetwork" -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ include "capstan.base" .root }}-{{ .component }}
  labels: {{- include "capstan.labels" . | nindent 4 }}
spec:
  podSelector:
    matchLabels:
      app.kubernetes.io/instance: {{ include "capstan.base" .root }}
      app.kubernetes.io/component: {{ .component }}
      app.kubernetes.io/part-of: capstan
  policyTypes: [Ingress, Egress]
  {{- with .from }}
  ingress: {{- . | nindent 4 }}
  {{- end }}
  egress:
    {{- include "capstan.toDns" .root | nindent 4 }}
    {{- .to | nindent 4 }}
{{- end }}

{{/* (root, component): service account without rights, for pods that a service starts itself. */}}
{{- define "capstan.startedAccount" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ include "capstan.base" .root }}-{{ .component }}
  labels: {{- include "capstan.labels" . | nindent 4 }}
automountServiceAccountToken: false
{{- with .root.Values.global.image.pullSecrets }}
imagePullSecrets: {{- range . }}{{ dict "name" . | list | toYaml | nindent 2 }}{{ end }}
{{- end }}
{{- end }}
