//! curl's exit codes (curl's manual page, "EXIT CODES"; libcurl-errors).

/// One code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CurlCode {
    /// The number.
    pub code: u8,
    /// libcurl's name, without `CURLE_`.
    pub name: &'static str,
    /// What it means to curl, as a sentence without its full stop.
    pub meaning: &'static str,
}

/// The code of a number from 0 to 101.
pub fn curl_code(code: u8) -> Option<&'static CurlCode> {
    CURL_CODES.get(usize::from(code))
}

macro_rules! codes {
    ($($code:literal $name:ident $meaning:literal)+) => {
        /// Every code, in order.
        pub static CURL_CODES: &[CurlCode] = &[$(CurlCode { code: $code, name: stringify!($name), meaning: $meaning }),+];
    };
}

codes! {
    0 OK "the transfer went well; without --fail also if the answer was an error such as 503"
    1 UNSUPPORTED_PROTOCOL "this curl does not have the URL's protocol"
    2 FAILED_INIT "curl could not start"
    3 URL_MALFORMAT "the URL is not valid"
    4 NOT_BUILT_IN "this curl was built without a feature that was asked for"
    5 COULDNT_RESOLVE_PROXY "the name of the proxy does not resolve"
    6 COULDNT_RESOLVE_HOST "the host name does not resolve"
    7 COULDNT_CONNECT "no connection could be made: it was refused, or there is no way"
    8 WEIRD_SERVER_REPLY "the answer cannot be read"
    9 REMOTE_ACCESS_DENIED "the server refused access (FTP)"
    10 FTP_ACCEPT_FAILED "FTP: the server did not connect back"
    11 FTP_WEIRD_PASS_REPLY "FTP: strange answer to the password"
    12 FTP_ACCEPT_TIMEOUT "FTP: the server did not connect back in time"
    13 FTP_WEIRD_PASV_REPLY "FTP: strange answer to PASV"
    14 FTP_WEIRD_227_FORMAT "FTP: strange answer 227"
    15 FTP_CANT_GET_HOST "FTP: the host of answer 227 does not resolve"
    16 HTTP2 "an error of HTTP/2 framing"
    17 FTP_COULDNT_SET_TYPE "FTP: the transfer type cannot be set"
    18 PARTIAL_FILE "the answer ended before it was complete"
    19 FTP_COULDNT_RETR_FILE "FTP: the file cannot be fetched"
    20 OBSOLETE20 "not used any more"
    21 QUOTE_ERROR "FTP: a quoted command failed"
    22 HTTP_RETURNED_ERROR "the answer was an HTTP error, 400 or above (with --fail)"
    23 WRITE_ERROR "curl could not write what it received"
    24 OBSOLETE24 "not used any more"
    25 UPLOAD_FAILED "the upload did not start"
    26 READ_ERROR "curl could not read what it was to send"
    27 OUT_OF_MEMORY "curl has no memory left"
    28 OPERATION_TIMEDOUT "the time limit (-m, --connect-timeout) was reached"
    29 OBSOLETE29 "not used any more"
    30 FTP_PORT_FAILED "FTP: PORT failed"
    31 FTP_COULDNT_USE_REST "FTP: REST failed"
    32 OBSOLETE32 "not used any more"
    33 RANGE_ERROR "the server does not support ranges"
    34 HTTP_POST_ERROR "not used any more (once: an error of a POST)"
    35 SSL_CONNECT_ERROR "the TLS handshake failed"
    36 BAD_DOWNLOAD_RESUME "the download cannot be continued"
    37 FILE_COULDNT_READ_FILE "the file cannot be read (file://)"
    38 LDAP_CANNOT_BIND "LDAP: bind failed"
    39 LDAP_SEARCH_FAILED "LDAP: search failed"
    40 OBSOLETE40 "not used any more"
    41 FUNCTION_NOT_FOUND "not used any more (once: a function of a library was missing)"
    42 ABORTED_BY_CALLBACK "an application stopped it"
    43 BAD_FUNCTION_ARGUMENT "a fault inside of curl"
    44 OBSOLETE44 "not used any more"
    45 INTERFACE_FAILED "the interface of --interface cannot be used"
    46 OBSOLETE46 "not used any more"
    47 TOO_MANY_REDIRECTS "more redirects than --max-redirs allows"
    48 UNKNOWN_OPTION "an option is not known"
    49 SETOPT_OPTION_SYNTAX "an option is malformed"
    50 OBSOLETE50 "not used any more"
    51 OBSOLETE51 "before 7.62: the server's certificate was not accepted (now 60)"
    52 GOT_NOTHING "the server closed the connection without an answer"
    53 SSL_ENGINE_NOTFOUND "the crypto engine was not found"
    54 SSL_ENGINE_SETFAILED "the crypto engine cannot be the default"
    55 SEND_ERROR "sending failed"
    56 RECV_ERROR "receiving failed: the connection was reset, or ended by a TLS alert"
    57 OBSOLETE57 "not used any more"
    58 SSL_CERTPROBLEM "curl's own client certificate or key cannot be used"
    59 SSL_CIPHER "the cipher that was asked for cannot be used"
    60 PEER_FAILED_VERIFICATION "curl does not accept the server's certificate"
    61 BAD_CONTENT_ENCODING "the answer's encoding is not known"
    62 LDAP_INVALID_URL "not used any more (once: an LDAP URL that is not valid)"
    63 FILESIZE_EXCEEDED "the file is larger than --max-filesize"
    64 USE_SSL_FAILED "the TLS that was asked for was not to be had (FTP, mail)"
    65 SEND_FAIL_REWIND "what was sent could not be sent again"
    66 SSL_ENGINE_INITFAILED "the crypto engine did not start"
    67 LOGIN_DENIED "name or password were not accepted"
    68 TFTP_NOTFOUND "TFTP: no such file"
    69 TFTP_PERM "TFTP: not allowed"
    70 REMOTE_DISK_FULL "the server's disk is full"
    71 TFTP_ILLEGAL "TFTP: not a valid operation"
    72 TFTP_UNKNOWNID "TFTP: unknown transfer"
    73 REMOTE_FILE_EXISTS "the file is there already"
    74 TFTP_NOSUCHUSER "TFTP: no such user"
    75 CONV_FAILED "not used any more (once: a conversion failed)"
    76 CONV_REQD "not used any more (once: a conversion was missing)"
    77 SSL_CACERT_BADFILE "the file of --cacert cannot be read"
    78 REMOTE_FILE_NOT_FOUND "the URL's resource does not exist"
    79 SSH "an error of SSH"
    80 SSL_SHUTDOWN_FAILED "TLS did not end as it should"
    81 AGAIN "a socket is not ready yet"
    82 SSL_CRL_BADFILE "the file of --crlfile cannot be read"
    83 SSL_ISSUER_ERROR "the issuer of the server's certificate is not the expected one"
    84 FTP_PRET_FAILED "FTP: PRET failed"
    85 RTSP_CSEQ_ERROR "RTSP: numbers do not fit"
    86 RTSP_SESSION_ERROR "RTSP: sessions do not fit"
    87 FTP_BAD_FILE_LIST "FTP: the list of files cannot be read"
    88 CHUNK_FAILED "a part of the transfer was refused"
    89 NO_CONNECTION_AVAILABLE "no connection was free"
    90 SSL_PINNEDPUBKEYNOTMATCH "the server's key is not the pinned one"
    91 SSL_INVALIDCERTSTATUS "the status of the server's certificate (OCSP) is not good"
    92 HTTP2_STREAM "a stream of HTTP/2 was reset"
    93 RECURSIVE_API_CALL "a fault of an application that uses libcurl"
    94 AUTH_ERROR "authentication failed"
    95 HTTP3 "an error of HTTP/3"
    96 QUIC_CONNECT_ERROR "no QUIC connection could be made"
    97 PROXY "the proxy (SOCKS, HTTPS) refused or failed"
    98 SSL_CLIENTCERT "the server wants a client certificate"
    99 UNRECOVERABLE_POLL "waiting on sockets failed"
    100 TOO_LARGE "a value is larger than curl takes"
    101 ECH_REQUIRED "Encrypted Client Hello was demanded and is not to be had"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_every_code_at_its_number() {
        assert_eq!(CURL_CODES.len(), 102);
        for (number, code) in CURL_CODES.iter().enumerate() {
            assert_eq!(usize::from(code.code), number);
            assert!(!code.meaning.ends_with('.') && !code.meaning.is_empty());
        }
        assert_eq!(curl_code(35).unwrap().name, "SSL_CONNECT_ERROR");
        assert_eq!(curl_code(102), None);
    }
}
