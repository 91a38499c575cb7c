{{- define "tollbridge.selector" -}}
app.kubernetes.io/name: tollbridge
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "tollbridge.labels" -}}
{{ include "tollbridge.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "tollbridge.meta" -}}
name: {{ .Release.Name }}
namespace: {{ .Release.Namespace }}
labels:
  {{- include "tollbridge.labels" . | nindent 2 }}
{{- end }}

{{- define "tollbridge.config" -}}
{{ .Values.config | default (.Files.Get (printf "files/%s.yaml" .Values.shape)) }}
{{- end }}

{{- /* What the pods of both shapes have. */}}
{{- define "tollbridge.pod" -}}
serviceAccountName: {{ .Release.Name }}
automountServiceAccountToken: false
# A Service called "gateway" would set GATEWAY_PORT, which Tollbridge reads.
enableServiceLinks: false
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  seccompProfile:
    type: RuntimeDefault
{{- end }}

{{- /* What the gateway's container has in both shapes. */}}
{{- define "tollbridge.container" -}}
image: {{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
args: [run, --config, /etc/tollbridge/gateway.yaml]
ports:
  - name: http
    containerPort: 8080
  - name: admin
    containerPort: 9090
livenessProbe:
  httpGet:
    path: /livez
    port: admin
  periodSeconds: 10
  timeoutSeconds: 2
  failureThreshold: 3
readinessProbe:
  httpGet:
    path: /readyz
    port: admin
  periodSeconds: 5
  timeoutSeconds: 2
  failureThreshold: 2
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
volumeMounts:
  - name: configuration
    mountPath: /etc/tollbridge
    readOnly: true
  - name: state
    mountPath: /var/lib/tollbridge
{{- end }}

{{- define "tollbridge.volumes" -}}
- name: configuration
  projected:
    defaultMode: 0440
    sources:
      - configMap:
          name: {{ .Release.Name }}
      {{- if eq .Values.shape "edge" }}
      - secret:
          name: {{ .Values.secrets.keys }}
          items:
            - {key: ops, path: keys/ops}
            - {key: prometheus, path: keys/prometheus}
            - {key: app, path: keys/app}
      - secret:
          name: {{ .Values.secrets.seal }}
          items:
            - {key: key, path: seal/key}
      {{- with .Values.secrets.redis }}
      - secret:
          name: {{ . }}
          items:
            - {key: password, path: redis/password}
            - {key: ca.crt, path: redis/ca.crt}
      {{- end }}
      {{- end }}
      {{- with .Values.extraSources }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
- name: state
  emptyDir:
    sizeLimit: 256Mi
{{- end }}
