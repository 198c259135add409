{{/* Who reads the metrics; takes the values of networkPolicy. */}}
{{- define "pipewright.ingressMetrics" -}}
- ports: [{protocol: TCP, port: 8081}]
  from: {{ toYaml .metricsFrom | nindent 4 }}
{{- end }}

{{/* Rules for what leaves a pod; each takes the values of networkPolicy. */}}

{{- define "pipewright.egressNames" -}}
- to:
    - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: {{ .dnsNamespace }}}}
  ports:
    - {protocol: UDP, port: 53}
    - {protocol: TCP, port: 53}
{{- end }}

{{/* Takes nats or postgres of networkPolicy. */}}
{{- define "pipewright.egressServer" -}}
- to: {{ toYaml .peers | nindent 4 }}
  ports:
    - {protocol: TCP, port: {{ .port }}}
{{- end }}

{{- define "pipewright.egressInternet" -}}
- to:
    - ipBlock:
        cidr: 0.0.0.0/0
        except: {{ toJson .internetExcept }}
    - ipBlock:
        cidr: ::/0
        except: {{ toJson .internetExceptIpv6 }}
{{- end }}
