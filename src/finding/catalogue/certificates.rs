//! 4nn: certificates and Secrets.

use super::catalogue;

catalogue! {
    /// No certificate can be read.
    CERTIFICATE_UNREADABLE = "EGR-401", Error, "there is no certificate to read",
        "The text is not PEM (RFC 7468), is damaged, or holds something else, for example a key in place of a certificate.",
        "give the certificate as PEM, beginning with -----BEGIN CERTIFICATE-----; from DER: openssl x509 -inform der -in FILE -out FILE.pem";
    /// The host is not among the names.
    HOST_NOT_NAMED = "EGR-402", Error, "the certificate does not name the host",
        "Clients compare the host with the subject alternative names only; the common name counts for nothing (RFC 9525).",
        "issue it with the host as subject alternative name: `kubectl egress certs HOST --out DIR`";
    /// The key is another certificate's.
    KEY_MISMATCH = "EGR-403", Error, "the key does not fit the certificate",
        "The public key in the certificate is not the counterpart of the private key. A proxy refuses the pair.",
        "give the key that the certificate was issued for, or issue both anew: `kubectl egress certs HOST --out DIR`";
    /// Leaf not first, or issuers out of order.
    BUNDLE_ORDER = "EGR-404", Error, "the PEM bundle is in the wrong order",
        "The certificate itself comes first, each one is followed by the one that issued it (RFC 8446, section 4.4.2). Proxies send the bundle as it is, and take the key for that of the first.",
        "put the certificate first, then the intermediate ones, in one file";
    /// A passphrase.
    KEY_ENCRYPTED = "EGR-405", Error, "the private key is encrypted",
        "The key is protected by a passphrase, which a gateway cannot type.",
        "take the passphrase off into a file that only you can read: openssl pkey -in KEY -out KEY.plain";
    /// Past its end.
    CERTIFICATE_EXPIRED = "EGR-406", Error, "the certificate has expired",
        "Its validity has ended; istiod delivers it all the same, and the other side ends the connection.",
        "renew it: `kubectl egress certs HOST --ca-cert CA --ca-key KEY --out DIR`, then `kubectl egress secrets`";
    /// Before its begin.
    CERTIFICATE_NOT_YET_VALID = "EGR-407", Error, "the certificate is not valid yet",
        "Its validity begins later, or a clock is wrong.",
        "wait until then, issue it anew, or correct the clock";
    /// Near its end.
    CERTIFICATE_EXPIRES_SOON = "EGR-408", Warning, "the certificate expires soon",
        "Fewer than 30 days are left.",
        "renew it: `kubectl egress certs HOST --ca-cert CA --ca-key KEY --out DIR`, then `kubectl egress secrets`";
    /// Another authority.
    FOREIGN_AUTHORITY = "EGR-409", Error, "another CA issued the certificate",
        "None of the given authorities signed the certificate or one of its issuers; whoever trusts only them refuses it.",
        "give the CA that issued it, or issue it with this CA: `kubectl egress certs HOST --ca-cert CA --ca-key KEY --out DIR`";
    /// Extended key usage.
    USAGE_MISSING = "EGR-410", Error, "the certificate is not for this use",
        "Its extended key usage names other uses (RFC 5280, section 4.2.1.12): a server's needs serverAuth, a client's clientAuth.",
        "issue it for this use: `kubectl egress certs HOST --out DIR` makes one for each";
    /// A leaf given as CA.
    AUTHORITY_IS_NONE = "EGR-411", Error, "what is given as a CA is none",
        "Its basicConstraints do not say CA:TRUE, so nothing that it signed is trusted.",
        "give the certificate of the CA that issued the other side's certificate";
    /// A key that cannot be used.
    KEY_UNREADABLE = "EGR-412", Error, "there is no private key to read",
        "The text holds no private key in PEM, or one of an algorithm that proxies do not take.",
        "give the key as PEM: ECDSA P-256 or P-384, or RSA of 2048 bits or more";
    /// No such Secret.
    SECRET_MISSING = "EGR-420", Error, "the Secret does not exist",
        "credentialName is looked up in the namespace of the gateway's pods. Without it the gateway answers 503 after 15 seconds, and no log but istiod's names it.",
        "make it: `kubectl egress secrets --cert FILE --key FILE --ca FILE --name NAME`";
    /// It is somewhere else.
    SECRET_ELSEWHERE = "EGR-421", Error, "the Secret is in another namespace",
        "A gateway reads Secrets of its own pods' namespace only; one in the application's namespace changes nothing.",
        "make it in the gateway's namespace: `kubectl egress secrets --cert FILE --key FILE --ca FILE --name NAME`";
    /// Its type.
    SECRET_WRONG_TYPE = "EGR-422", Error, "the Secret is of the wrong type",
        "Certificates are in Secrets of type Opaque or kubernetes.io/tls. The type of a Secret cannot be changed.",
        "make another one: `kubectl egress secrets --cert FILE --key FILE --ca FILE --name OTHER`";
    /// Its keys.
    SECRET_LACKS_KEYS = "EGR-423", Error, "keys are missing in the Secret",
        "A client's Secret has tls.crt, tls.key and ca.crt (or cert, key and cacert); the CA may be in a Secret NAME-cacert instead. Without the CA the gateway answers 503.",
        "`kubectl egress secrets --cert FILE --key FILE --ca FILE` makes it with all three";
    /// We may not look.
    SECRET_UNREAD = "EGR-424", Warning, "the Secret could not be checked",
        "You may not read Secrets in the gateway's namespace, so that its content stays unknown.",
        "ask for `get` on `secrets` in that namespace, or check the files: `kubectl egress certs inspect FILE`";
    /// A Secret of the gateway was changed under connections that are open.
    SECRET_CHANGED = "EGR-425", Warning, "open connections keep the certificate of before",
        "A proxy takes a changed Secret for new connections only. Those that it keeps open to the host were checked with the former CA and shown the former certificate, and carry requests until they have been idle for an hour.",
        "start the gateway's pods anew, then `kubectl egress verify`: `kubectl rollout restart deployment NAME -n NAMESPACE`";
}
