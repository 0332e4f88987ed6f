use super::*;
use rstest::rstest;
use serde_json::json;

fn parsed(text: &str) -> LabelSelector {
    text.parse().unwrap()
}

#[rstest]
#[case("", json!({"app": "web"}), true)]
#[case("   ", Value::Null, true)]
#[case("app=web", json!({"app": "web"}), true)]
#[case("app==web", json!({"app": "web"}), true)]
#[case(" app = web , tier ", json!({"app": "web", "tier": "x"}), true)]
#[case("app=web", json!({}), false)]
#[case("app=web", Value::Null, false)]
#[case("app=", json!({"app": ""}), true)]
#[case("app=", json!({"app": "web"}), false)]
#[case("app!=web", json!({"app": "web"}), false)]
#[case("app!=web", json!({"app": "db"}), true)]
#[case("app!=web", json!({}), true)] // absent keys match
#[case("app in (web,db)", json!({"app": "db"}), true)]
#[case("app in ( web , db )", json!({"app": "db"}), true)]
#[case("app in(web)", json!({"app": "web"}), true)]
#[case("app in (web,db)", json!({"app": "x"}), false)]
#[case("app in (web,db)", json!({}), false)] // In wants the key
#[case("app in ()", json!({"app": ""}), true)]
#[case("app notin (web,db)", json!({"app": "db"}), false)]
#[case("app notin (web,db)", json!({"app": "x"}), true)]
#[case("app notin (web,db)", Value::Null, true)] // absent keys match
#[case("app", json!({"app": ""}), true)]
#[case("app", json!({}), false)]
#[case("!app", json!({}), true)]
#[case("!app", json!({"app": "web"}), false)]
#[case("app=web,tier!=front,!old,example.com/x in (1)", json!({"app": "web", "example.com/x": "1"}), true)]
#[case("app=web,tier!=front,!old,example.com/x in (1)", json!({"app": "web", "example.com/x": "1", "old": ""}), false)]
#[case("in in (notin)", json!({"in": "notin"}), true)]
fn what_text_selects(#[case] text: &str, #[case] labels: Value, #[case] expected: bool) {
    assert_eq!(parsed(text).matches(&labels), expected, "{text} {labels}");
}

#[rstest]
#[case("=web", "name of a label is missing before `=`")]
#[case("app=web,", "missing at the end")]
#[case(",app", "missing before `,`")]
#[case("app=web tier=x", "comma is missing before `tier`")]
#[case("app web", "comes `web`")]
#[case("app>1", "comes `>`")]
#[case("app!web", "comes `!`")]
#[case("app in web", "list in brackets")]
#[case("app in (web", "`)` at its end")]
#[case("app in (web db)", "commas between")]
#[case("!app=web", "comma is missing before `=`")]
#[case("-app=web", "label name `-app`")]
#[case("Domain/app=web", "label name `Domain/app`")]
#[case("a/b/c=web", "label name `a/b/c`")]
#[case("/app", "label name `/app`")]
#[case("app=we;b", "value `we;b`")]
#[case("app=web-", "value `web-`")]
#[case(
    "app=1234567890123456789012345678901234567890123456789012345678901234",
    "at most 63"
)]
fn what_is_refused(#[case] text: &str, #[case] rule: &str) {
    let error = text.parse::<LabelSelector>().unwrap_err().to_string();
    assert!(
        error.starts_with(&format!("`{text}` is not a label selector: ")),
        "{error}"
    );
    assert!(error.contains(rule), "{error}");
}

#[test]
fn errors_let_no_control_character_through() {
    let error = "app=\u{1b}[2J".parse::<LabelSelector>().unwrap_err().to_string();
    assert!(!error.contains('\u{1b}'), "{error}");
    assert!(error.contains("\\u{1b}"), "{error}");
}

#[rstest]
#[case("app==web", "app=web", json!({"matchLabels": {"app": "web"}}))]
#[case("a!=b", "a!=b", json!({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["b"]}]}))]
#[case("a  in (c, b)", "a in (c,b)", json!({"matchExpressions": [{"key": "a", "operator": "In", "values": ["c", "b"]}]}))]
#[case("a notin (b)", "a!=b", json!({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["b"]}]}))]
#[case("a,!b", "a,!b", json!({"matchExpressions": [{"key": "a", "operator": "Exists"}, {"key": "b", "operator": "DoesNotExist"}]}))]
#[case("a=b,a=c", "a=b,a=c", json!({"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "a", "operator": "In", "values": ["c"]}]}))]
#[case("", "", json!({}))]
fn text_and_object_say_the_same(#[case] text: &str, #[case] canonical: &str, #[case] object: Value) {
    let selector = parsed(text);
    assert_eq!(selector.to_string(), canonical);
    assert_eq!(selector.to_object(), object);
    assert_eq!(LabelSelector::from_object(&object), selector);
    assert_eq!(serde_json::to_value(&selector).unwrap(), object);
    assert_eq!(serde_json::from_value::<LabelSelector>(object).unwrap(), selector);
}

#[test]
fn nothing_said_selects_everything() {
    for selector in [Value::Null, json!({}), json!({"matchLabels": {}})] {
        assert_eq!(LabelSelector::from_object(&selector), LabelSelector::default());
        assert!(LabelSelector::from_object(&selector).matches(&Value::Null));
    }
}

#[rstest]
#[case(json!({"matchExpressions": [{"key": "a", "operator": "Like", "values": ["b"]}]}))]
#[case(json!({"matchExpressions": [{"key": "a", "operator": "In"}]}))]
#[case(json!({"matchExpressions": [{"key": "a", "operator": "Exists", "values": ["b"]}]}))]
#[case(json!({"matchLabels": {"a b": "c"}}))]
#[case(json!({"matchlabels": {"a": "c"}}))]
fn a_file_is_read_strictly(#[case] object: Value) {
    assert!(serde_json::from_value::<LabelSelector>(object).is_err());
}

#[test]
fn an_operator_that_is_not_known_fits_nothing() {
    let object = json!({"matchExpressions": [{"key": "a", "operator": "Like", "values": ["b"]}]});
    let selector = LabelSelector::from_object(&object);
    assert!(!selector.matches(&json!({"a": "b"})) && !selector.matches(&Value::Null));
}

#[rstest]
#[case("", Some(json!({})))]
#[case("app=web,tier!=x,!old", Some(json!({"app": "web"})))]
#[case("app in (a,b,c),app notin (a),app!=b", Some(json!({"app": "c"})))]
#[case("app", Some(json!({"app": "probe-0"})))]
#[case("app,app notin (probe-0,probe-1)", Some(json!({"app": "probe-2"})))]
#[case("app=", Some(json!({"app": ""})))]
#[case("app=a,app=b", None)]
#[case("app,!app", None)]
#[case("app=a,!app", None)]
#[case("app=a,app!=a", None)]
fn labels_for_a_probe_pod(#[case] text: &str, #[case] expected: Option<Value>) {
    let selector = parsed(text);
    let labels = selector.satisfying_labels().map(|labels| json!(labels));
    assert_eq!(labels, expected);
    assert!(labels.is_none_or(|labels| selector.matches(&labels)));
}

mod properties {
    use super::*;
    use proptest::prelude::*;

    fn requirement() -> impl Strategy<Value = Requirement> {
        let key = "[a-c]";
        let values = proptest::collection::vec("[x-z]?", 1..4);
        prop_oneof![
            (key, values.clone()).prop_map(|(key, values)| Requirement::In { key, values }),
            (key, values).prop_map(|(key, values)| Requirement::NotIn { key, values }),
            key.prop_map(|key| Requirement::Exists { key }),
            key.prop_map(|key| Requirement::DoesNotExist { key }),
        ]
    }

    proptest! {
        #[test]
        fn text_comes_back(requirements in proptest::collection::vec(requirement(), 0..5)) {
            let selector = LabelSelector { requirements };
            prop_assert_eq!(parsed(&selector.to_string()), selector);
        }

        #[test]
        fn an_object_means_the_same(
            requirements in proptest::collection::vec(requirement(), 0..5),
            labels in proptest::collection::btree_map("[a-c]", "[x-z]?", 0..4),
        ) {
            let selector = LabelSelector { requirements };
            let again = LabelSelector::from_object(&selector.to_object());
            prop_assert_eq!(again.matches(&json!(labels)), selector.matches(&json!(labels)));
        }

        #[test]
        fn a_contradiction_is_one(requirements in proptest::collection::vec(requirement(), 0..5)) {
            let selector = LabelSelector { requirements };
            let found = selector.satisfying_labels();
            if let Some(labels) = &found {
                prop_assert!(selector.matches(&json!(labels)));
            } else {
                // Every combination of three keys that are absent or have one of the values in play.
                let values = [None, Some(""), Some("x"), Some("y"), Some("z"), Some("w")];
                for a in values { for b in values { for c in values {
                    let mut labels = serde_json::Map::new();
                    for (key, value) in [("a", a), ("b", b), ("c", c)] {
                        if let Some(value) = value { labels.insert(key.into(), json!(value)); }
                    }
                    prop_assert!(!selector.matches(&Value::Object(labels)));
                }}}
            }
        }

        #[test]
        fn nothing_typed_makes_it_panic(text in ".{0,40}") {
            let _ = text.parse::<LabelSelector>();
        }
    }
}
