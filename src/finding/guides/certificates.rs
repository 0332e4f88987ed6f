//! 4nn: certificates and Secrets.

use super::guides;

guides! {
    "EGR-401": "A command or a proxy says that it cannot read the certificate.";
        "openssl x509 -in FILE -noout -subject    # unable to load certificate",
        "head -1 FILE    # -----BEGIN CERTIFICATE-----";
        PEM;
    "EGR-402": "Clients refuse the server: curl 60, `no alternative certificate subject name matches`.";
        "openssl x509 -in FILE -noout -ext subjectAltName",
        "openssl x509 -in FILE -noout -checkhost HOST";
        SERVICE_IDENTITY, X509;
    "EGR-403": "A proxy refuses the pair: istiod's log has `private key does not match public key`.";
        "openssl x509 -in CERT -noout -pubkey | sha256sum",
        "openssl pkey -in KEY -pubout | sha256sum    # both must be the same";
        TLS13_CERTIFICATE;
    "EGR-404": "Some clients accept the server and others do not; or key and certificate seem not to fit.";
        "openssl storeutl -noout -text -certs FILE | grep -E 'Subject:|Issuer:'    # each issuer is the next subject",
        "openssl verify -CAfile CA -untrusted FILE FILE";
        TLS13_CERTIFICATE;
    "EGR-405": "A proxy cannot use the key; openssl asks for a passphrase.";
        "head -1 KEY    # BEGIN ENCRYPTED PRIVATE KEY",
        "openssl pkey -in KEY -noout -passin pass:    # fails";
        PEM;
    "EGR-406": "The other side ends TLS; as a client's certificate it leaves UC without a reason at the gateway.";
        "openssl x509 -in FILE -noout -enddate -checkend 0",
        "kubectl logs -n istio-system deploy/istiod | grep 'expired or not yet valid'";
        X509, TLS13_ALERTS;
    "EGR-407": "The other side refuses a certificate that was just made.";
        "openssl x509 -in FILE -noout -startdate",
        "date -u    # on both sides";
        X509;
    "EGR-408": "Nothing yet; at the end of its validity every request fails at once.";
        "openssl x509 -in FILE -noout -enddate",
        "kubectl get secret NAME -n istio-system -o jsonpath='{.data.tls\\.crt}' | base64 -d | openssl x509 -noout -enddate";
        X509;
    "EGR-409": "The other side refuses the certificate: unknown CA, `unable to get local issuer certificate`.";
        "openssl verify -CAfile CA FILE",
        "openssl x509 -in FILE -noout -issuer; openssl x509 -in CA -noout -subject    # both must be the same";
        X509, TLS13_ALERTS;
    "EGR-410": "The other side refuses the certificate: `unsupported certificate purpose`.";
        "openssl x509 -in FILE -noout -ext extendedKeyUsage",
        "openssl verify -purpose sslclient -CAfile CA FILE    # or sslserver";
        X509;
    "EGR-411": "Nothing that this certificate signed is accepted: `invalid CA certificate`.";
        "openssl x509 -in CA -noout -ext basicConstraints,keyUsage",
        "openssl verify -CAfile CA FILE";
        X509;
    "EGR-412": "A command or a proxy says that it cannot read the key.";
        "openssl pkey -in KEY -noout -text | head -1",
        "head -1 KEY    # -----BEGIN PRIVATE KEY-----";
        PEM;
    "EGR-420": "The gateway answers 503: NC for 15 s, then `Secret_is_not_supplied_by_SDS`.";
        "kubectl get secret NAME -n istio-system",
        "kubectl logs -n istio-system deploy/istiod | grep 'not found'";
        GATEWAY_ORIGINATION, SECRETS;
    "EGR-421": "The Secret is there, and the gateway answers 503 as if it were not.";
        "kubectl get secrets -A --field-selector metadata.name=NAME",
        "kubectl get pods -A -l istio=egressgateway    # the namespace that counts";
        GATEWAY_ORIGINATION;
    "EGR-422": "The Secret is there, and istiod does not deliver it.";
        "kubectl get secret NAME -n istio-system -o jsonpath='{.type}'",
        "kubectl logs -n istio-system deploy/istiod | grep NAME";
        SECRETS, GATEWAY_ORIGINATION;
    "EGR-423": "The gateway answers 503: NC for 15 s, then `Secret_is_not_supplied_by_SDS`, although the Secret is there.";
        "kubectl get secret NAME -n istio-system -o jsonpath='{.data}' | tr ',' '\\n' | cut -d: -f1",
        "kubectl logs -n istio-system deploy/istiod | grep -E 'NAME(-cacert)?'";
        GATEWAY_ORIGINATION, SECRETS;
    "EGR-424": "`kubectl get secret` in the gateway's namespace ends in Forbidden.";
        "kubectl auth can-i get secrets -n istio-system",
        "istioctl proxy-config secret GATEWAY-POD.istio-system    # whether the gateway has it, without its content";
        RBAC;
    "EGR-425": "The gateway shows the old certificate, or trusts the old authority, after its Secret was changed.";
        "kubectl get secret NAME -n istio-system -o yaml --show-managed-fields | grep time:    # when it was changed",
        "kubectl exec -n istio-system GATEWAY-POD -c istio-proxy -- pilot-agent request GET clusters | grep HOST | grep cx_active    # connections from before";
        GATEWAY_ORIGINATION, SECRETS;
}
