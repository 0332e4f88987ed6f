//! Lines of the lab (Istio 1.31, Envoy 1.40), word for word.

pub(crate) const SIDECAR_ROUTED: &str = r#"[2026-11-21T02:01:19.427Z] "- - -" 0 - - - "-" 725 2385 52 - "-" "-" "-" "-" "198.18.0.19:8443" outbound|443|kyma-project|istio-egressgateway.istio-system.svc.cluster.local 198.18.0.25:45252 203.0.113.10:443 198.18.0.25:37136 kyma-project.io -"#;
pub(crate) const GATEWAY_ROUTED: &str = r#"[2026-11-21T02:01:19.430Z] "- - -" 0 - - - "-" 725 2385 49 - "-" "-" "-" "-" "203.0.113.10:443" outbound|443||kyma-project.io 198.18.0.19:58160 198.18.0.19:8443 198.18.0.25:45252 kyma-project.io -"#;
pub(crate) const ALLOW_ANY_HTTP: &str = r#"[2026-11-21T02:01:21.855Z] "GET /get HTTP/1.1" 200 - via_upstream - "-" 0 272 2 1 "-" "curl/7.88.1" "30e33939-1643-4c40-9af5-5e5bc35b1dc4" "kyma-project.io" "203.0.113.10:80" PassthroughCluster 198.18.0.25:37148 203.0.113.10:80 198.18.0.25:37132 - allow_any"#;
pub(crate) const ALLOW_ANY_UNKNOWN: &str = r#"[2026-11-21T02:01:24.339Z] "- - -" 0 - - - "-" 725 2385 50 - "-" "-" "-" "-" "203.0.113.11:443" PassthroughCluster 198.18.0.25:53296 203.0.113.11:443 198.18.0.25:53290 edition.cnn.com -"#;
pub(crate) const ALLOW_ANY_CLOSED: &str = r#"[2026-11-21T02:01:37.955Z] "- - -" 0 UF,URX - - "delayed_connect_error:_Connection_refused" 0 0 0 - "-" "-" "-" "-" "203.0.113.11:444" PassthroughCluster - 203.0.113.11:444 198.18.0.25:39888 - -"#;
pub(crate) const REGISTRY_ONLY_HTTP: &str = r#"[2026-11-21T02:01:49.988Z] "GET /get HTTP/1.1" 502 - direct_response - "-" 0 0 0 - "-" "curl/7.88.1" "3331caec-2970-46b3-b421-b8939b710b87" "kyma-project.io" "-" - - 203.0.113.10:80 198.18.0.25:35414 - block_all"#;
pub(crate) const REGISTRY_ONLY_TLS: &str = r#"[2026-11-21T02:01:52.455Z] "- - -" 0 UH - - "-" 0 0 3 - "-" "-" "-" "-" "-" BlackHoleCluster - 203.0.113.11:443 198.18.0.25:60648 edition.cnn.com -"#;

pub(crate) const DROP_HTTP_5: &str = r#"[2026-11-21T02:07:01.483Z] "GET /get HTTP/1.1" 0 DC downstream_remote_disconnect - "-" 0 0 4998 - "-" "curl/7.88.1" "e40bafe5-3f3b-4070-b010-1603ef655820" "kyma-project.io" "203.0.113.10:80" PassthroughCluster - 203.0.113.10:80 198.18.0.25:48968 - allow_any"#;
pub(crate) const DROP_HTTP_40: &str = r#"[2026-11-21T02:07:54.503Z] "GET /get HTTP/1.1" 503 UF upstream_reset_before_response_started{connection_timeout} - "-" 0 91 9997 - "-" "curl/7.88.1" "acf5a602-a506-4306-94b7-7e93d50cf487" "kyma-project.io" "203.0.113.10:80" PassthroughCluster - 203.0.113.10:80 198.18.0.25:52468 - allow_any"#;
pub(crate) const DROP_TLS: &str = r#"[2026-11-21T02:08:06.842Z] "- - -" 0 UF,URX - - "-" 0 0 10004 - "-" "-" "-" "-" "203.0.113.11:443" PassthroughCluster - 203.0.113.11:443 198.18.0.25:59104 edition.cnn.com -"#;
pub(crate) const REJECT_HTTP: &str = r#"[2026-11-21T02:08:34.797Z] "GET /get HTTP/1.1" 503 UF upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_Connection_refused} - "delayed_connect_error:_Connection_refused" 0 98 0 - "-" "curl/7.88.1" "0a38e87f-721d-43b2-8ad3-4dc561866cd3" "kyma-project.io" "203.0.113.10:80" PassthroughCluster - 203.0.113.10:80 198.18.0.25:33466 - allow_any"#;
pub(crate) const REJECT_TLS: &str = r#"[2026-11-21T02:08:37.401Z] "- - -" 0 UF,URX - - "delayed_connect_error:_Connection_refused" 0 0 0 - "-" "-" "-" "-" "203.0.113.11:443" PassthroughCluster - 203.0.113.11:443 198.18.0.25:36056 edition.cnn.com -"#;

pub(crate) const NO_DESTINATION_RULE: &str = r#"[2026-11-21T02:26:23.300Z] "- - -" 0 NC - - "-" 0 0 3 - "-" "-" "-" "-" "-" - - 203.0.113.20:443 198.18.0.27:41916 tls.test -"#;

pub(crate) const HTTP_SIDECAR: &str = r#"[2026-11-21T02:17:34.539Z] "GET /get HTTP/1.1" 200 - via_upstream - "-" 0 464 46 45 "-" "curl/7.88.1" "a5c3b0f8-b529-422a-b3f5-6a4aa044bf96" "tls.test" "198.18.0.19:8080" outbound|80|x|istio-egressgateway.istio-system.svc.cluster.local 198.18.0.27:43232 203.0.113.20:80 198.18.0.27:59114 - -"#;
pub(crate) const HTTP_GATEWAY_TO_443: &str = r#"[2026-11-21T02:17:34.540Z] "GET /get HTTP/2" 200 - via_upstream - "-" 0 464 44 43 "198.18.0.27" "curl/7.88.1" "c9869eec-eab7-4623-93e4-21e9758ca1d7" "tls.test" "203.0.113.20:443" outbound|443||tls.test 198.18.0.19:38214 198.18.0.19:8080 198.18.0.27:43232 - -"#;
pub(crate) const HTTP_WRONG_VERSION_SIDECAR: &str = r#"[2026-11-21T02:17:48.108Z] "GET /get HTTP/1.1" 503 URX,UF upstream_reset_before_response_started{remote_connection_failure|TLS_error:|268435703:SSL_routines:OPENSSL_internal:WRONG_VERSION_NUMBER:TLS_error_end} - "TLS_error:|268435703:SSL_routines:OPENSSL_internal:WRONG_VERSION_NUMBER:TLS_error_end" 0 121 31 - "-" "curl/7.88.1" "dc4ab251-1792-4ce9-8805-82e687b5fab5" "tls.test" "198.18.0.19:8080" outbound|80|x|istio-egressgateway.istio-system.svc.cluster.local - 203.0.113.20:80 198.18.0.27:49642 - -"#;
pub(crate) const HTTP_WRONG_VERSION_GATEWAY: &str = r#"[2026-11-21T02:17:48.109Z] "- - HTTP/1.1" 400 DPE http1.codec_error - "-" 0 11 0 - "-" "-" "-" "-" "-" - - 198.18.0.19:8080 198.18.0.27:52686 - -"#;
pub(crate) const HTTP_REFUSED_SIDECAR: &str = r#"[2026-11-21T02:18:02.001Z] "GET /get HTTP/1.1" 503 UC upstream_reset_before_response_started{connection_termination} - "-" 0 95 1 - "-" "curl/7.88.1" "6d63f7d3-f360-4fce-90a3-8e0514b0e78b" "tls.test" "198.18.0.19:8080" outbound|80|x|istio-egressgateway.istio-system.svc.cluster.local 198.18.0.27:59014 203.0.113.20:80 198.18.0.27:57242 - -"#;
pub(crate) const HTTP_REFUSED_GATEWAY: &str = r#"[2026-11-21T02:18:02.002Z] "- - -" 0 NR filter_chain_not_found - "-" 0 0 0 - "-" "-" "-" "-" "-" - - 198.18.0.19:8080 198.18.0.27:59014 - -"#;
pub(crate) const HTTP_PLAINTEXT_TO_443: &str = r#"[2026-11-21T02:19:09.719Z] "GET /get HTTP/1.1" 503 UC upstream_reset_before_response_started{connection_termination} - "-" 0 95 1 - "-" "curl/7.88.1" "7db3c9b8-526e-4022-be1f-7f121d6f3afd" "tls.test" "203.0.113.20:443" outbound|80||tls.test 198.18.0.27:40948 203.0.113.20:80 198.18.0.27:45152 - default"#;
pub(crate) const GATEWAY_NO_CLUSTER: &str = r#"[2026-11-21T02:10:30.242Z] "GET /get HTTP/2" 503 NC cluster_not_found - "-" 0 0 0 - "198.18.0.27" "curl/7.88.1" "d55580b2-67a1-403a-9477-6a104a622687" "mtls.test" "-" - - 198.18.0.19:8080 198.18.0.27:40692 mtls.test -"#;
pub(crate) const GATEWAY_NO_SECRET: &str = r#"[2026-11-21T02:38:10.161Z] "GET /get HTTP/2" 503 URX,UF upstream_reset_before_response_started{remote_connection_failure|TLS_error:_Secret_is_not_supplied_by_SDS} - "TLS_error:_Secret_is_not_supplied_by_SDS" 0 121 44 - "198.18.0.27" "curl/7.88.1" "65d9e7c4-21ce-472e-9be2-e27694cd34e1" "mtls.test" "203.0.113.21:443" outbound|443||mtls.test - 198.18.0.19:8080 198.18.0.27:52068 mtls.test -"#;
pub(crate) const GATEWAY_ISTIO_MUTUAL: &str = r#"[2026-11-21T02:14:47.506Z] "- - -" 0 - - - "-" 721 2377 55 - "-" "-" "-" "-" "203.0.113.20:443" outbound|443||b.wild.test 198.18.0.19:47638 198.18.0.19:8443 198.18.0.27:38560 b.wild.test -"#;

pub(crate) const JSON_TCP: &str = r#"{"authority":null,"bytes_received":725,"bytes_sent":2385,"connection_termination_details":null,"downstream_local_address":"198.18.0.19:8443","downstream_remote_address":"198.18.0.25:44866","duration":49,"method":null,"path":null,"protocol":null,"request_id":null,"requested_server_name":"kyma-project.io","response_code":0,"response_code_details":null,"response_flags":"-","route_name":null,"start_time":"2026-11-21T02:21:54.357Z","upstream_cluster":"outbound|443||kyma-project.io","upstream_host":"203.0.113.10:443","upstream_local_address":"198.18.0.19:45808","upstream_service_time":null,"upstream_transport_failure_reason":null,"user_agent":null,"x_forwarded_for":null}"#;
pub(crate) const JSON_HTTP: &str = r#"{"authority":"mtls.test","bytes_received":0,"bytes_sent":2024,"connection_termination_details":null,"downstream_local_address":"198.18.0.19:8080","downstream_remote_address":"198.18.0.27:37950","duration":9,"method":"GET","path":"/get","protocol":"HTTP/2","request_id":"fbfc995f-98cc-4b6f-8b26-e6f59b4330f1","requested_server_name":"mtls.test","response_code":200,"response_code_details":"via_upstream","response_flags":"-","route_name":null,"start_time":"2026-11-21T02:21:58.965Z","upstream_cluster":"outbound|443||mtls.test","upstream_host":"203.0.113.21:443","upstream_local_address":"198.18.0.19:52198","upstream_service_time":"7","upstream_transport_failure_reason":null,"user_agent":"curl/7.88.1","x_forwarded_for":"198.18.0.27"}"#;
pub(crate) const JSON_OWN_LABELS: &str = r#"{"authority":"mtls.test","bytes_received":0,"bytes_sent":2024,"connection_termination_details":null,"downstream_local_address":"198.18.0.19:8080","downstream_peer_uri_san":"spiffe://cluster.local/ns/lab2/sa/default","downstream_remote_address":"198.18.0.27:38858","downstream_tls_version":"TLSv1.3","duration":4,"method":"GET","protocol":"HTTP/2","request_id":"2eb37654-3fcd-48a5-ac25-85b7dd3c2884","requested_server_name":"mtls.test","response_code":200,"response_code_details":"via_upstream","response_flags":"-","route_name":null,"start_time":"2026-11-21T02:22:17.135Z","upstream_cluster":"outbound|443||mtls.test;","upstream_cluster_raw":"outbound|443||mtls.test","upstream_host":"203.0.113.21:443","upstream_local_address":"198.18.0.19:54378","upstream_local_uri_san":null,"upstream_peer_dns_san":"kyma-project.io,*.kyma-project.io,edition.cnn.com,www.google.com,httpbin.external.test,*.wild.test,mtls.test,tls.test,scale.test,*.scale.test","upstream_peer_uri_san":null,"upstream_tls_version":"TLSv1.3","upstream_transport_failure_reason":null}"#;

/// All lines in text.
pub(crate) const ALL_TEXT: &[&str] = &[
    SIDECAR_ROUTED,
    GATEWAY_ROUTED,
    ALLOW_ANY_HTTP,
    ALLOW_ANY_UNKNOWN,
    ALLOW_ANY_CLOSED,
    REGISTRY_ONLY_HTTP,
    REGISTRY_ONLY_TLS,
    DROP_HTTP_5,
    DROP_HTTP_40,
    DROP_TLS,
    REJECT_HTTP,
    REJECT_TLS,
    NO_DESTINATION_RULE,
    HTTP_SIDECAR,
    HTTP_GATEWAY_TO_443,
    HTTP_WRONG_VERSION_SIDECAR,
    HTTP_WRONG_VERSION_GATEWAY,
    HTTP_REFUSED_SIDECAR,
    HTTP_REFUSED_GATEWAY,
    HTTP_PLAINTEXT_TO_443,
    GATEWAY_NO_CLUSTER,
    GATEWAY_NO_SECRET,
    GATEWAY_ISTIO_MUTUAL,
];
