{{/*
One Deployment. Takes a dict of root, component, args, replicas (null where KEDA decides), keys (of its Secret), env,
envFromSecret, resources, ports (name -> number), live, ready, port (of the probes), gracePeriod, and leaves (seconds
for which a pod that a Service sends requests to goes on taking them).
*/}}
{{- define "pipewright.deployment" -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "pipewright.name" .root }}-{{ .component }}
  labels: {{ include "pipewright.labels" . | nindent 4 }}
spec:
  {{- if not (kindIs "invalid" .replicas) }}
  replicas: {{ .replicas }}
  {{- end }}
  selector:
    matchLabels: {{ include "pipewright.selector" . | nindent 6 }}
  strategy:
    rollingUpdate: {maxUnavailable: 0, maxSurge: 1}
  template:
    metadata:
      labels: {{ include "pipewright.labels" . | nindent 8 }}
      {{- with .root.Values.podAnnotations }}
      annotations: {{ toYaml . | nindent 8 }}
      {{- end }}
    spec:
      {{- include "pipewright.podSecurity" .root | nindent 6 }}
      terminationGracePeriodSeconds: {{ .gracePeriod }}
      topologySpreadConstraints:
        - maxSkew: 1
          topologyKey: kubernetes.io/hostname
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels: {{ include "pipewright.selector" . | nindent 14 }}
      containers:
        - name: {{ .component }}
          args: {{ toJson .args }}
          {{- include "pipewright.container" .root | nindent 10 }}
          env:
            - {name: PIPEWRIGHT_LOG_LEVEL, value: {{ .root.Values.logLevel }}}
            - {name: PIPEWRIGHT_PROFILE, value: {{ .root.Values.profile }}}
            - {name: PIPEWRIGHT_TRUSTED_NETWORK, value: {{ .root.Values.trustedNetwork | quote }}}
            {{- range $name, $value := .env }}
            - {name: {{ $name }}, value: {{ $value | quote }}}
            {{- end }}
            {{- include "pipewright.secretEnv" . | nindent 12 }}
          {{- with .envFromSecret }}
          envFrom:
            - secretRef: {name: {{ . }}}
          {{- end }}
          ports:
            {{- range $name, $number := .ports }}
            - {name: {{ $name }}, containerPort: {{ $number }}}
            {{- end }}
          {{- include "pipewright.probes" . | nindent 10 }}
          {{- with .leaves }}
          # Requests come here for a moment after the pod was told to leave.
          lifecycle: {preStop: {exec: {command: [sleep, {{ . | quote }}]}}}
          {{- end }}
          resources: {{ toYaml .resources | nindent 12 }}
{{- end }}
