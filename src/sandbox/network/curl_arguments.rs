//! curl's command line, as far as tools use it for probing.

use std::collections::BTreeMap;

/// One section between `--next`.
#[expect(clippy::struct_excessive_bools, reason = "each is one switch of curl's")]
#[derive(Debug, Clone, Default)]
pub(super) struct Section {
    pub(super) urls: Vec<String>,
    pub(super) outputs: Vec<String>,
    pub(super) write_out: Option<String>,
    pub(super) silent: bool,
    pub(super) show_error: bool,
    /// Milliseconds.
    pub(super) max_time: Option<u64>,
    /// Milliseconds.
    pub(super) connect_timeout: Option<u64>,
    pub(super) method: Option<String>,
    pub(super) user_agent: Option<String>,
    pub(super) head: bool,
    pub(super) include: bool,
    pub(super) dump_headers: Option<String>,
    pub(super) insecure: bool,
    pub(super) fail: bool,
    pub(super) resolve: BTreeMap<String, String>,
    /// The Host header, if one was given.
    pub(super) host_header: Option<String>,
    /// File with authorities.
    pub(super) authorities: Option<String>,
    /// File with the client's certificate.
    pub(super) certificate: Option<String>,
}

/// What curl is to do.
#[derive(Debug)]
pub(super) enum Job {
    Version,
    Transfers(Vec<Section>),
}

/// A command line that curl refuses: exit code and what it writes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused(pub(super) i32, pub(super) String);

/// Long options without a value, with what they are called in short, if they are.
const FLAGS: &[(&str, Option<char>)] = &[
    ("silent", Some('s')),
    ("show-error", Some('S')),
    ("include", Some('i')),
    ("head", Some('I')),
    ("insecure", Some('k')),
    ("location", Some('L')),
    ("fail", Some('f')),
    ("fail-with-body", None),
    ("parallel", Some('Z')),
    ("parallel-immediate", None),
    ("verbose", Some('v')),
    ("no-keepalive", None),
    ("no-progress-meter", None),
    ("no-buffer", Some('N')),
    ("globoff", Some('g')),
    ("http1.1", None),
    ("http1.0", Some('0')),
    ("http2", None),
    ("ipv4", Some('4')),
    ("ipv6", Some('6')),
    ("compressed", None),
    ("version", Some('V')),
    ("next", Some(':')),
    ("disable", Some('q')),
    ("tlsv1.2", None),
    ("tlsv1.3", None),
];

/// Options with a value.
const VALUES: &[(&str, Option<char>)] = &[
    ("output", Some('o')),
    ("write-out", Some('w')),
    ("max-time", Some('m')),
    ("connect-timeout", None),
    ("request", Some('X')),
    ("user-agent", Some('A')),
    ("header", Some('H')),
    ("dump-header", Some('D')),
    ("cacert", None),
    ("capath", None),
    ("cert", Some('E')),
    ("key", None),
    ("resolve", None),
    ("connect-to", None),
    ("parallel-max", None),
    ("noproxy", None),
    ("retry", None),
    ("retry-delay", None),
    ("url", None),
    ("data", Some('d')),
    ("max-redirs", None),
    ("stderr", None),
];

/// Reads the arguments behind `curl`.
pub(super) fn parse(arguments: &[String]) -> Result<Job, Refused> {
    let mut sections = vec![Section::default()];
    let mut rest = arguments.iter();
    let mut literal = false;
    while let Some(argument) = rest.next() {
        let options = if literal || argument == "-" || !argument.starts_with('-') {
            add_url(&mut sections, argument);
            continue;
        } else if argument == "--" {
            literal = true;
            continue;
        } else if let Some(name) = argument.strip_prefix("--") {
            vec![long(name)?]
        } else {
            shorts(&argument[1..])?
        };
        for option in options {
            let value =
                match (option.takes_value, option.attached) {
                    (false, _) => None,
                    (true, Some(value)) => Some(value),
                    (true, None) => Some(rest.next().cloned().ok_or_else(|| {
                        Refused(2, usage(&format!("option {argument}: requires parameter")))
                    })?),
                };
            match option.name {
                "version" => return Ok(Job::Version),
                "next" => sections.push(Section::default()),
                name => set(&mut sections, name, value.unwrap_or_default())?,
            }
        }
    }
    if sections.iter().all(|section| section.urls.is_empty()) {
        return Err(Refused(2, usage("(2) no URL specified")));
    }
    Ok(Job::Transfers(sections))
}

fn usage(what: &str) -> String {
    format!("curl: {what}\ncurl: try 'curl --help' or 'curl --manual' for more information\n")
}

struct Found {
    name: &'static str,
    takes_value: bool,
    attached: Option<String>,
}

fn long(name: &str) -> Result<Found, Refused> {
    // curl takes no `--option=value`: the value is the next argument.
    let find = |list: &'static [(&'static str, Option<char>)]| list.iter().find(|(known, _)| *known == name);
    let flag = find(FLAGS).map(|found| (found.0, false));
    let found = flag.or_else(|| find(VALUES).map(|found| (found.0, true)));
    let (name, takes_value) =
        found.ok_or_else(|| Refused(2, usage(&format!("option --{name}: is unknown"))))?;
    Ok(Found {
        name,
        takes_value,
        attached: None,
    })
}

/// Short options may stand together, the last with its value attached.
fn shorts(text: &str) -> Result<Vec<Found>, Refused> {
    let mut found = Vec::new();
    for (position, letter) in text.char_indices() {
        let find = |list: &'static [(&'static str, Option<char>)]| {
            list.iter().find(|(_, short)| *short == Some(letter))
        };
        if let Some((name, _)) = find(FLAGS) {
            found.push(Found {
                name,
                takes_value: false,
                attached: None,
            });
            continue;
        }
        let Some((name, _)) = find(VALUES) else {
            return Err(Refused(2, usage(&format!("option -{text}: is unknown"))));
        };
        let attached = &text[position + letter.len_utf8()..];
        found.push(Found {
            name,
            takes_value: true,
            attached: (!attached.is_empty()).then(|| attached.to_owned()),
        });
        break;
    }
    Ok(found)
}

fn add_url(sections: &mut [Section], url: &str) {
    if let Some(section) = sections.last_mut() {
        section.urls.push(url.to_owned());
    }
}

fn milliseconds(name: &str, value: &str) -> Result<u64, Refused> {
    let problem = || {
        Refused(
            2,
            usage(&format!("option --{name}: expected a proper numerical parameter")),
        )
    };
    let seconds: f64 = value.parse().map_err(|_| problem())?;
    let time = std::time::Duration::try_from_secs_f64(seconds).map_err(|_| problem())?;
    u64::try_from(time.as_millis()).map_err(|_| problem())
}

fn set(sections: &mut [Section], name: &str, value: String) -> Result<(), Refused> {
    let Some(section) = sections.last_mut() else {
        return Ok(());
    };
    match name {
        "silent" => section.silent = true,
        "show-error" => section.show_error = true,
        "include" => section.include = true,
        "head" => section.head = true,
        "insecure" => section.insecure = true,
        "fail" | "fail-with-body" => section.fail = true,
        "output" => section.outputs.push(value),
        "write-out" => section.write_out = Some(value),
        "max-time" => section.max_time = Some(milliseconds(name, &value)?),
        "connect-timeout" => section.connect_timeout = Some(milliseconds(name, &value)?),
        "request" => section.method = Some(value),
        "user-agent" => section.user_agent = Some(value),
        "dump-header" => section.dump_headers = Some(value),
        "url" => section.urls.push(value),
        "cacert" => section.authorities = Some(value),
        "cert" => section.certificate = Some(value),
        "header" => {
            if let Some((header, host)) = value.split_once(':')
                && header.eq_ignore_ascii_case("host")
            {
                section.host_header = Some(host.trim().to_owned());
            }
        }
        "resolve" => {
            let mut parts = value.trim_start_matches('+').splitn(3, ':');
            let (Some(host), Some(port), Some(addresses)) = (parts.next(), parts.next(), parts.next()) else {
                let text = format!("Couldn't parse CURLOPT_RESOLVE entry '{value}'");
                return Err(Refused(49, usage(&text)));
            };
            let address = addresses.split(',').next().unwrap_or_default();
            section
                .resolve
                .insert(format!("{host}:{port}"), address.to_owned());
        }
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn short_options_stand_together_and_next_begins_anew() {
        let line = "-sSo /dev/null -m5 -w %{http_code} https://a.test --next -k http://b.test";
        let Ok(Job::Transfers(sections)) = parse(&words(line)) else {
            panic!()
        };
        assert_eq!(sections.len(), 2);
        assert!(sections[0].silent && sections[0].show_error && !sections[1].silent);
        assert_eq!(sections[0].outputs, ["/dev/null"]);
        assert_eq!(sections[0].max_time, Some(5000));
        assert_eq!(sections[1].urls, ["http://b.test"]);
    }

    #[rstest::rstest]
    #[case("--nonsense https://a.test", "curl: option --nonsense: is unknown")]
    #[case("--max-time=5 https://a.test", "curl: option --max-time=5: is unknown")]
    #[case("-m", "curl: option -m: requires parameter")]
    #[case("-s", "curl: (2) no URL specified")]
    fn refuses_as_curl_does(#[case] line: &str, #[case] message: &str) {
        let Refused(code, text) = parse(&words(line)).unwrap_err();
        assert_eq!(code, 2);
        assert_eq!(text.lines().next(), Some(message));
    }
}
