//! 130 to 142: where TLS begins and ends, and what the other side learns.

use super::guides;

guides! {
    "EGR-130": "The server sees the pods' own addresses, and the gateway has no line, as the plan says.";
        "kubectl logs POD -c istio-proxy -n NAMESPACE | grep 'outbound|.*||HOST'",
        "kubectl get networkpolicy -n NAMESPACE    # one that lets out only the gateway cuts this host off";
        TLS_ORIGINATION, EGRESS_GATEWAYS;
    "EGR-131": "curl prints 503; the gateway's line has NC for 15 s, then `Secret_is_not_supplied_by_SDS`.";
        "kubectl logs -n istio-system deploy/istiod | grep -E 'certificate|unauthorized'    # names the Secret",
        "istioctl proxy-config secret GATEWAY-POD.istio-system",
        "kubectl get secret NAME -n istio-system -o jsonpath='{.data}' | tr ',' '\\n' | cut -d: -f1    # its keys";
        GATEWAY_ORIGINATION, SECRETS;
    "EGR-132": "curl prints 503; the proxy's line has CERTIFICATE_VERIFY_FAILED and `unable_to_get_local_issuer_certificate` or `self_signed_certificate`.";
        "kubectl get secret NAME -n istio-system -o jsonpath='{.data.ca\\.crt}' | base64 -d > ca.pem",
        "openssl s_client -connect HOST:443 -servername HOST -CAfile ca.pem </dev/null | grep Verif";
        GATEWAY_ORIGINATION, X509;
    "EGR-133": "curl prints 503; the proxy's line has CERTIFICATE_VERIFY_FAILED and the certificate's names.";
        "openssl s_client -connect HOST:443 -servername HOST </dev/null | openssl x509 -noout -ext subjectAltName",
        "istioctl proxy-config cluster GATEWAY-POD.istio-system --fqdn HOST -o json | grep -A4 -i san    # `sni` without subjectAltNames checks no name at all";
        DESTINATION_RULE, SERVICE_IDENTITY;
    "EGR-134": "curl prints 503; the proxy's line has `certificate_has_expired`.";
        "openssl s_client -connect HOST:443 -servername HOST </dev/null | openssl x509 -noout -dates",
        "date -u    # on the gateway's node";
        X509;
    "EGR-135": "curl prints 503; the gateway's line has UC and no reason.";
        "kubectl get secret NAME -n istio-system -o jsonpath='{.data.tls\\.crt}' | base64 -d | openssl x509 -noout -dates -issuer",
        "openssl s_client -connect HOST:443 -servername HOST -cert tls.crt -key tls.key </dev/null | grep -iE 'alert|acceptable'",
        "istioctl proxy-config cluster GATEWAY-POD.istio-system --fqdn HOST -o json | grep -i transportSocket    # none: plaintext is sent";
        TLS13_ALERTS, GATEWAY_ORIGINATION;
    "EGR-136": "curl prints 503; the proxy's line has WRONG_VERSION_NUMBER.";
        "openssl s_client -connect HOST:PORT -servername HOST </dev/null    # wrong version number",
        "curl -v http://HOST:PORT/";
        TLS_ORIGINATION, TRAFFIC_PROBLEMS;
    "EGR-137": "curl prints 503 (UC), or 400 `The plain HTTP request was sent to HTTPS port`.";
        "istioctl proxy-config cluster POD.NAMESPACE --fqdn HOST -o json | grep -i transportSocket    # none",
        "kubectl get destinationrule -A -o yaml | grep -A12 'host: HOST'    # credentialName at a sidecar is dropped without a word";
        TLS_ORIGINATION, DESTINATION_RULE;
    "EGR-138": "Everything answers 200; only a packet capture, or the proxy's configuration, shows the plaintext.";
        "istioctl proxy-config cluster POD.NAMESPACE --fqdn istio-egressgateway.istio-system.svc.cluster.local -o json | grep -A3 transportSocket",
        "kubectl get pod -n istio-system -l istio=egressgateway --show-labels    # without security.istio.io/tlsMode=istio there is no automatic mutual TLS";
        EGRESS_GATEWAYS, DESTINATION_RULE;
    "EGR-139": "curl ends in 35 or 60, or prints 503; one side's line has a TLS_error, DPE, or NR without an SNI.";
        "kubectl get gateways.networking.istio.io -A -o yaml | grep -A12 servers:",
        "kubectl get destinationrule -A -o yaml | grep -A14 istio-egressgateway    # mode ISTIO_MUTUAL and sni, if the server says ISTIO_MUTUAL",
        "kubectl logs -n istio-system deploy/istiod | grep 'listener missed'    # protocol TLS with ISTIO_MUTUAL needs `tcp:` routes";
        EGRESS_GATEWAYS, GATEWAY, DESTINATION_RULE;
    "EGR-140": "An echo of the request shows X-Forwarded-Client-Cert, X-Forwarded-For or X-Envoy-… at the host.";
        "kubectl exec POD -n NAMESPACE -- curl -s http://HOST/headers    # where the host is an httpbin",
        "kubectl get virtualservice -n NAMESPACE -o yaml | grep -A10 'remove:'";
        FORWARDED_CERT, HTTP;
    "EGR-141": "curl ends in 56, `alert certificate required`, although the lines have no flags.";
        "openssl s_client -connect HOST:443 -servername HOST </dev/null | grep -A3 'Acceptable client certificate'",
        "kubectl exec POD -n NAMESPACE -- curl -v --cert CERT --key KEY https://HOST";
        TLS13_ALERTS, GATEWAY_ORIGINATION;
    "EGR-142": "The host answers, and the sidecar's log, which is on, has no line of it.";
        "kubectl get pod POD -n NAMESPACE -o yaml | grep -E 'excludeOutbound|includeOutbound'",
        "kubectl get configmap istio-sidecar-injector -n istio-system -o yaml | grep -iE 'includeIPRanges|excludeIPRanges'";
        EXTERNAL_SERVICES, INJECTION;
    "EGR-145": "curl ends in 35, `wrong version number`; the proxy's line has no flags at all.";
        "kubectl get destinationrule -A -o yaml | grep -B8 -A6 'tls:'    # who makes TLS for the host",
        "istioctl proxy-config cluster POD.NAMESPACE --fqdn HOST -o json | grep -A3 transportSocket";
        DESTINATION_RULE, TRAFFIC_PROBLEMS;
}
