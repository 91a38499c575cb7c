use super::*;

fn scan(text: &str) -> Result<Span, Malformed> {
    let mut scanner = Scanner::new(text);
    let span = scanner.value()?;
    scanner.end().map(|()| span)
}

#[test]
fn what_is_json_is_accepted() {
    for text in [
        "{}",
        " [1 , -0, 0.5, 1e400, 18446744073709551617, -1.5E-7] ",
        "\"\\u0000\\ud83d\\ude00é\"",
        "{\"a\":{\"a\":[null,true,false]},\"\":\"\"}",
        "\n\t\"x\"\r",
    ] {
        assert!(scan(text).is_ok(), "{text}: {:?}", scan(text));
    }
}

#[test]
fn what_is_not_json_is_refused() {
    for text in [
        "",
        "{",
        "}",
        "[1,]",
        "{\"a\":1,}",
        "{a:1}",
        "{\"a\"}",
        "01",
        "1.",
        ".5",
        "+1",
        "1e",
        "-",
        "nul",
        "True",
        "'a'",
        "\"\\x\"",
        "\"\\ud800\"",
        "\"\\udc00\"",
        "\"\\ud800\\u0041\"",
        "\"\\u12\"",
        "\"\t\"",
        "\"a",
        "1 2",
        "{} {}",
        "[1 2]",
        "// c",
        "\u{feff}1",
        "NaN",
        "[\"a\",]",
        "{\"a\":}",
    ] {
        assert!(scan(text).is_err(), "{text}");
    }
}

#[test]
fn depth_has_a_bound() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(scan(&nested(DEPTH_MAX)).is_ok());
    assert_eq!(scan(&nested(DEPTH_MAX + 1)), Err(Malformed::TooDeep));
    assert_eq!(scan(&"[".repeat(1_000_000)), Err(Malformed::TooDeep));
}

/// The oracle is serde_json, over mutations of good texts. It differs where we are stricter (depth)
/// and where it cannot represent a number (1e400).
#[test]
fn agrees_with_serde_json_on_mutations() {
    let seeds = [r#"{"a":[1,2.5e3,"x\n\u00e9\ud83d\ude00"],"b":{"c":null,"d":true}}"#, r#"[-0, 10, "\\", {}]"#];
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below as u64).unwrap()
    };
    let alphabet: Vec<char> = "{}[]\",:\\ud80ec01.-+ntf\u{1}é ".chars().collect();
    for round in 0..20_000 {
        let mut text: Vec<char> = seeds[round % seeds.len()].chars().collect();
        for _ in 0..=random(2) {
            let at = random(text.len());
            match random(3) {
                0 => text[at] = alphabet[random(alphabet.len())],
                1 => drop(text.remove(at)),
                _ => text.insert(at, alphabet[random(alphabet.len())]),
            }
        }
        let text: String = text.into_iter().collect();
        let oracle = serde_json::from_str::<serde_json::Value>(&text);
        if oracle.as_ref().is_err_and(|error| error.to_string().contains("out of range")) {
            continue;
        }
        assert_eq!(scan(&text).is_ok(), oracle.is_ok(), "{text}: {:?} against {oracle:?}", scan(&text));
    }
}

#[test]
fn find_follows_a_path_and_refuses_doubt() {
    let text = r#"{"a": {"b": [1], "c": "x"}, "d": 1}"#;
    let at = |path: &[&str]| find(text, path.iter().copied()).unwrap().map(|span| &text[span]);
    assert_eq!(at(&["a", "b"]), Some("[1]"));
    assert_eq!(at(&["a", "c"]), Some("\"x\""));
    assert_eq!(at(&["a", "z"]), None);
    assert_eq!(at(&["d", "z"]), None);
    assert_eq!(find(r#"{"a":1,"\u0061":2}"#, ["a"]), Err(Malformed::Duplicate("a".into())));
}
