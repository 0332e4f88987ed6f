//! What is explained of any line and any bytes.

use super::lines::ALL_TEXT;
use super::properties::any_line;
use kubectl_egress::evidence::LogFormats;
use kubectl_egress::evidence::explanation::{
    Explanation, HOSTS_OF_A_VERDICT, LiveObjects, LogReader, TransportFailure, details_meaning, origins,
    read_line,
};
use proptest::prelude::*;

/// More than this is not kept of one group, whatever comes: a line, its fields, and what is said about them.
const MOST_OF_A_GROUP: usize = 32 * 1024;

proptest! {
    #[test]
    fn any_line_is_explained_in_sentences(line in any_line()) {
        let explanation = Explanation::of(&line, None);
        prop_assert!(!explanation.what.is_empty() && !explanation.who.is_empty());
        prop_assert_eq!(explanation.code, explanation.verdict.article().map(|article| article.code));
        // What is proposed to be typed comes from a stranger's line.
        if let Some(next) = &explanation.next {
            prop_assert!(next.bytes().all(|byte| byte.is_ascii_alphanumeric() || b" .-".contains(&byte)), "{}", next);
        }
        let _ = origins(&line, &LiveObjects::default());
    }

    #[test]
    fn any_bytes_are_read_or_counted(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let mut reader = LogReader::new(LogFormats::default());
        for line in bytes.split(|byte| *byte == b'\n') {
            reader.take(line);
        }
        let summary = reader.summary();
        let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()).count();
        prop_assert_eq!(summary.lines + summary.other_lines, lines as u64);
    }

    /// Whatever stands in front, the line is found or it is not, and no field moves.
    #[test]
    fn a_prefix_moves_no_field(prefix in "[a-z0-9.-]{0,20}", which in 0..ALL_TEXT.len()) {
        let bare = read_line(ALL_TEXT[which].as_bytes(), &LogFormats::default()).unwrap();
        let raw = format!("{prefix} {}", ALL_TEXT[which]);
        if let Some(read) = read_line(raw.as_bytes(), &LogFormats::default()) {
            prop_assert_eq!(read.line, bare.line);
        }
    }

    #[test]
    fn any_reason_and_any_details_are_survived(text in "[ -~é|:_{}\\[\\]]{0,200}") {
        prop_assert!(!TransportFailure::read(&text).meaning().is_empty());
        let _ = details_meaning(&text);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Long hosts, flags, reasons and details: what is kept stays small.
    #[test]
    fn no_log_takes_more_than_its_share(lines in prop::collection::vec(any_line(), 1..20), length in 1_usize..5_000) {
        let mut reader = LogReader::new(LogFormats::default());
        let mut verdicts = std::collections::BTreeSet::new();
        for mut line in lines {
            let long = "x".repeat(length);
            line.requested_server_name = Some(long.clone());
            line.authority = Some(long.clone());
            line.response_code_details = Some(long.clone());
            line.response_flags = vec![long.clone(); 9];
            line.upstream_host = Some(long);
            let raw = kubectl_egress::evidence::render_text(&line);
            reader.take(raw.as_bytes());
            verdicts.insert(format!("{:?}", Explanation::of(&line, None).verdict));
        }
        let summary = reader.summary();
        prop_assert!(summary.groups.len() <= verdicts.len() * 4 * (HOSTS_OF_A_VERDICT + 1));
        for group in &summary.groups {
            let kept = serde_json::to_string(group).unwrap().len();
            prop_assert!(kept <= MOST_OF_A_GROUP, "{} bytes", kept);
        }
    }
}
