{{/* What every pod has: an ordinary user without capabilities, a root that cannot be written, secrets by reference. */}}

{{- define "pipewright.podSecurity" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
{{- with .Values.image.pullSecrets }}
imagePullSecrets: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity: {{ toYaml . | nindent 2 }}
{{- end }}
volumes:
  - name: tmp
    emptyDir: {sizeLimit: 64Mi}
{{- with .Values.secrets.natsCa }}
{{- if .secretName }}
  - name: nats-ca
    secret: {secretName: {{ .secretName }}, items: [{key: {{ .key }}, path: ca.crt}]}
{{- end }}
{{- end }}
{{- with .Values.secrets.postgresCa }}
{{- if .secretName }}
  - name: postgres-ca
    secret: {secretName: {{ .secretName }}, items: [{key: {{ .key }}, path: ca.crt}]}
{{- end }}
{{- end }}
{{- end }}

{{- define "pipewright.container" -}}
image: {{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
volumeMounts:
  - {name: tmp, mountPath: /tmp}
{{- if .Values.secrets.natsCa.secretName }}
  - {name: nats-ca, mountPath: /etc/pipewright/nats-ca, readOnly: true}
{{- end }}
{{- if .Values.secrets.postgresCa.secretName }}
  - {name: postgres-ca, mountPath: /etc/pipewright/postgres-ca, readOnly: true}
{{- end }}
{{- end }}

{{/* Takes a dict of root, component and keys: environment variable -> key of the component's own Secret. */}}
{{- define "pipewright.secretEnv" -}}
{{- $secret := printf "%s-%s" .root.Values.secrets.prefix .component }}
{{- range $variable, $key := .keys }}
- name: {{ $variable }}
  valueFrom: {secretKeyRef: {name: {{ $secret }}, key: {{ $key }}}}
{{- end }}
{{- end }}

{{/* Takes a dict of path and port. What it asks depends on neither NATS nor Postgres, but for readiness. */}}
{{- define "pipewright.probes" -}}
startupProbe:
  httpGet: {path: {{ .live }}, port: {{ .port }}}
  periodSeconds: 2
  failureThreshold: 150
livenessProbe:
  httpGet: {path: {{ .live }}, port: {{ .port }}}
  periodSeconds: 10
  timeoutSeconds: 3
  failureThreshold: 3
readinessProbe:
  httpGet: {path: {{ .ready }}, port: {{ .port }}}
  periodSeconds: 5
  timeoutSeconds: 4
{{- end }}
