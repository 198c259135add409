{{/* What the objects of a release are called, and how they are found. */}}

{{- define "pipewright.name" -}}
{{- if contains "pipewright" .Release.Name }}{{ .Release.Name }}{{ else }}{{ .Release.Name }}-pipewright{{ end }}
{{- end }}

{{/* Takes a dict of root and component. */}}
{{- define "pipewright.selector" -}}
app.kubernetes.io/name: pipewright
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "pipewright.labels" -}}
{{ include "pipewright.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end }}
