use super::*;

fn check(schema: &str, arguments: &str) -> Result<(), Mismatch> {
    Schema::compile(schema).unwrap_or_else(|bad| panic!("{schema}: {bad}")).check(arguments)
}

#[test]
fn numbers_are_compared_as_decimals() {
    let long = format!(r#"{{"n":{}}}"#, "9".repeat(300));
    for (rule, arguments, fits) in [
        (r#"{"type":"integer"}"#, r#"{"n":1.0}"#, true),
        (r#"{"type":"integer"}"#, r#"{"n":1.5}"#, false),
        (r#"{"type":"integer"}"#, r#"{"n":18446744073709551617}"#, true),
        (r#"{"type":"integer"}"#, r#"{"n":1e400}"#, true),
        (r#"{"type":"integer"}"#, r#"{"n":1e-400}"#, false),
        (r#"{"maximum":18446744073709551616}"#, r#"{"n":18446744073709551617}"#, false),
        (r#"{"maximum":18446744073709551617}"#, r#"{"n":18446744073709551617}"#, true),
        (r#"{"minimum":9007199254740993}"#, r#"{"n":9007199254740992}"#, false),
        (r#"{"exclusiveMinimum":1e399}"#, r#"{"n":1e400}"#, true),
        (r#"{"multipleOf":0.01}"#, r#"{"n":0.1}"#, true),
        (r#"{"multipleOf":0.01}"#, r#"{"n":19.99}"#, true),
        (r#"{"multipleOf":0.01}"#, r#"{"n":0.105}"#, false),
        (r#"{"const":0.1}"#, r#"{"n":0.10000000000000000000001}"#, false),
        (r#"{"enum":[1,2]}"#, r#"{"n":1.0}"#, true),
        (r#"{"uniqueItems":true}"#, r#"{"n":[18446744073709551616,18446744073709551617]}"#, true),
        (r#"{"uniqueItems":true}"#, r#"{"n":[1,1.0]}"#, false),
        (r#"{"type":"integer"}"#, &long, false),
    ] {
        let schema = format!(r#"{{"type":"object","properties":{{"n":{rule}}}}}"#);
        assert_eq!(check(&schema, arguments).is_ok(), fits, "{rule} {arguments}");
    }
}

#[test]
fn a_mismatch_says_where_and_what() {
    let missing = |name: &str| Rule::Missing(name.to_owned());
    let wrong = |name: &str, expected: &str| Rule::Type { name: name.to_owned(), expected: expected.to_owned() };
    let schema = r##"{"type":"object","required":["city"],"additionalProperties":false,"properties":{
        "city":{"type":"string","minLength":2,"pattern":"^[A-Z]"},
        "days":{"type":"integer","minimum":1,"maximum":16},
        "unit":{"enum":["c","f"]},
        "note":{"anyOf":[{"type":"string"},{"type":"null"}]},
        "some":{"oneOf":[{"type":"string"},{"type":"object","required":["x"]}]},
        "a/b":{"type":["boolean","null"]},
        "at":{"$ref":"#/$defs/point"}},
        "$defs":{"point":{"type":"object","required":["lat"],"properties":{"lat":{"type":"number"}}}}}"##;
    for (arguments, path, expected, message, rule) in [
        (
            r#"{"days":3}"#,
            "",
            "required property \"city\"",
            "arguments: the required property \"city\" is missing",
            missing("city"),
        ),
        (r#"{"city":5}"#, "/city", "string", "argument /city: expected string, found number", wrong("city", "string")),
        (
            r#"{"city":"Ulm","days":1.5}"#,
            "/days",
            "integer",
            "argument /days: expected integer, found number",
            wrong("days", "integer"),
        ),
        (r#"{"city":"Ulm","days":99}"#, "/days", "at most 16", "argument /days: expected at most 16", Rule::Other),
        (
            r#"{"city":"U"}"#,
            "/city",
            "at least 2 characters",
            "argument /city: expected at least 2 characters",
            Rule::Other,
        ),
        (
            r#"{"city":"ulm"}"#,
            "/city",
            "a match of the pattern ^[A-Z]",
            "argument /city: expected a match of the pattern ^[A-Z]",
            Rule::Other,
        ),
        (
            r#"{"city":"Ulm","unit":"k"}"#,
            "/unit",
            "one of \"c\", \"f\"",
            "argument /unit: expected one of \"c\", \"f\"",
            Rule::Other,
        ),
        (r#"{"city":"Ulm","x":1}"#, "", "no property \"x\"", "arguments: expected no property \"x\"", Rule::Other),
        (
            r#"{"city":"Ulm","note":7}"#,
            "/note",
            "string or null",
            "argument /note: expected string or null, found number",
            wrong("note", "string or null"),
        ),
        (
            r#"{"city":"Ulm","some":{}}"#,
            "/some",
            "what fits one of the alternatives",
            "argument /some: expected what fits one of the alternatives",
            Rule::Other,
        ),
        (
            r#"{"city":"Ulm","a/b":1}"#,
            "/a~1b",
            "null or boolean",
            "argument /a~1b: expected null or boolean, found number",
            wrong("a/b", "null or boolean"),
        ),
        (
            r#"{"city":"Ulm","at":{}}"#,
            "/at",
            "required property \"lat\"",
            "argument /at: the required property \"lat\" is missing",
            Rule::Other,
        ),
        (
            r#"{"city":"Ulm","at":{"lat":"x"}}"#,
            "/at/lat",
            "number",
            "argument /at/lat: expected number, found string",
            Rule::Other,
        ),
        ("[]", "", "object", "arguments: expected object, found array", Rule::Other),
    ] {
        let (path, expected, message) = (path.to_owned(), expected.to_owned(), message.to_owned());
        assert_eq!(check(schema, arguments), Err(Mismatch { path, expected, message, rule }), "{arguments}");
    }
    assert_eq!(check(schema, r#"{"city":"Ulm","days":3,"unit":"c","note":null,"a/b":true,"at":{"lat":1}}"#), Ok(()));
}

#[test]
fn no_value_is_repeated() {
    let schema = r#"{"properties":{
        "a":{"type":"integer"},"b":{"enum":[1]},"c":{"const":1},"d":{"pattern":"^x$"},"e":{"minLength":99},
        "f":{"not":{"type":"string"}},"g":{"items":{"type":"integer"}},"h":{"contains":{"const":1}},
        "i":{"anyOf":[{"type":"integer"},{"minLength":99}]},"j":{"maxProperties":0},"k":{"uniqueItems":true},
        "l":false,"m":{"multipleOf":7},"n":{"prefixItems":[true],"items":false},"o":{"if":{"type":"string"},"then":false}}}"#;
    for key in ('a'..='o').map(String::from) {
        let value = match key.as_str() {
            "g" | "h" => r#"["hunter2"]"#,
            "j" => r#"{"p":"hunter2"}"#,
            "k" | "n" => r#"["hunter2","hunter2"]"#,
            "m" => "2222",
            _ => r#""hunter2""#,
        };
        let mismatch = check(schema, &format!(r#"{{"{key}":{value}}}"#)).expect_err(&key);
        let said = format!("{mismatch:?}");
        assert!(!said.contains("hunter2") && !said.contains("2222"), "{said}");
    }
}

#[test]
fn nothing_hides_from_the_schema() {
    let schema = r#"{"properties":{"n":{"type":"number"},"o":{"properties":{"x":{"const":1}}}}}"#;
    for (arguments, key) in
        [(r#"{"n":1,"n":2}"#, "n"), (r#"{"o":{"x":1,"\u0078":2}}"#, "x"), (r#"{"z":[{"y":1,"y":1}]}"#, "y")]
    {
        assert_eq!(check(schema, arguments).map_err(|mismatch| mismatch.rule), Err(Rule::Duplicate(key.to_owned())));
    }
    for arguments in [
        r#"{"n":{"$serde_json::private::Number":"1"}}"#,
        r#"{"n":{"$serde_json::private::RawValue":"1"}}"#,
        r#"{"n":1} {}"#,
        r#"{"n":1,}"#,
        "",
    ] {
        assert!(check(schema, arguments).is_err(), "{arguments}");
    }
}

#[test]
fn drafts_and_references() {
    let items = r#"{"items":[{"type":"string"}]}"#;
    assert!(Schema::compile(items).is_err(), "2020-12 has no list of items");
    let seven = r#"{"$schema":"http://json-schema.org/draft-07/schema#","items":[{"type":"string"}]}"#;
    assert!(check(seven, "[1]").is_err());
    assert_eq!(check(r#"{"format":"email"}"#, "\"x\""), Ok(()));
    assert_eq!(check(r#"{"examples":[{"pattern":"(*"}]}"#, "{}"), Ok(()));
    for schema in [
        r#"{"$ref":"http://127.0.0.1:1/schema.json"}"#,
        r#"{"$ref":"file:///etc/hosts"}"#,
        r#"{"$ref":"other.json"}"#,
        r##"{"$ref":"#/$defs/nowhere"}"##,
        r#"{"$id":"http://127.0.0.1:1/","$ref":"x"}"#,
        r#"{"$schema":"http://127.0.0.1:1/meta"}"#,
        r#"{"type":"text"}"#,
        r#"{"pattern":"(a)\\1"}"#,
        r#"{"pattern":"(?=a)b"}"#,
        r#"{"pattern":"("}"#,
        r#"{"type":"string","type":"object"}"#,
        "7",
        "{",
    ] {
        assert!(Schema::compile(schema).is_err(), "{schema}");
    }
}

#[test]
fn what_is_too_much_is_refused() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(check("{}", &nested(64)), Ok(()));
    assert!(check("{}", &nested(65)).is_err());
    assert_eq!(check("{}", &format!("\"{}\"", "x".repeat(ARGUMENTS_BYTES_MAX - 2))), Ok(()));
    assert!(check("{}", &format!("\"{}\"", "x".repeat(ARGUMENTS_BYTES_MAX - 1))).is_err());
    assert!(check("{}", &format!("[{}0]", "0,".repeat(ARGUMENTS_VALUES_MAX))).is_err());
    let comment = |bytes: usize| format!(r#"{{"$comment":"{}"}}"#, "x".repeat(bytes));
    assert!(Schema::compile(&comment(SCHEMA_BYTES_MAX - 100)).is_ok());
    assert_eq!(Schema::compile(&comment(SCHEMA_BYTES_MAX)).err(), Some(BadSchema::TooLong));
    assert!(Schema::compile(&format!(r#"{{"enum":[{}0]}}"#, "0,".repeat(SCHEMA_VALUES_MAX))).is_err());
    let patterns = r#"{"pattern":"a"},"#.repeat(PATTERNS_MAX);
    let patterns = format!(r#"{{"allOf":[{patterns}{{"patternProperties":{{"b":true}}}}]}}"#);
    assert_eq!(Schema::compile(&patterns).err(), Some(BadSchema::TooManyPatterns));
    assert!(Schema::compile(r#"{"pattern":"((a{100}){100}){100}"}"#).is_err());
    let large = r#"{"properties":{"a":{"pattern":"(x|y)*x(x|y){5000}z"}}}"#;
    assert_eq!(check(large, &format!(r#"{{"b":"{}"}}"#, "x".repeat(8_000))), Ok(()));
    assert!(check(large, &format!(r#"{{"b":"{}"}}"#, "x".repeat(1_000_000))).is_err());
    let small = r#"{"properties":{"a":{"pattern":"^[A-Za-z0-9_.-]+$"},"b":{"pattern":"^.{1,100}$"}}}"#;
    assert_eq!(check(small, &format!(r#"{{"c":"{}"}}"#, "x".repeat(100_000))), Ok(()));
}

/// Definitions that each refer to the next one, twice or once.
fn chain(links: usize, link: impl Fn(&str) -> String, last: &str) -> String {
    let reference = |at: usize| format!(r##"{{"$ref":"#/$defs/d{at}"}}"##);
    let definitions: String = (0..links).map(|at| format!(r#""d{at}":{},"#, link(&reference(at + 1)))).collect();
    format!(r##"{{"$ref":"#/$defs/d0","$defs":{{{definitions}"d{links}":{last}}}}}"##)
}

#[test]
fn tangled_schemas_are_refused() {
    let object = r#"{"type":"object"}"#;
    let twice = |keyword: &'static str| move |next: &str| format!(r#"{{"{keyword}":[{next},{next}]}}"#);
    let both = |next: &str| format!(r#"{{"properties":{{"definitions":{next},"b":{next}}}}}"#);
    let anchors = |at: usize| {
        format!(r##""d{at}":{{"$anchor":"d{at}","allOf":[{{"$ref":"#d{}"}},{{"$ref":"#d{}"}}]}}"##, at + 1, at + 1)
    };
    let anchored: Vec<String> = (0..40).map(anchors).collect();
    let based = chain(40, twice("allOf"), object).replacen('{', r#"{"allOf":[{"$id":"x"}],"#, 1);
    for schema in [
        chain(40, twice("allOf"), object),
        chain(40, twice("anyOf"), object),
        chain(40, both, object),
        chain(3_000, |next| format!(r#"{{"allOf":[{next}]}}"#), object),
        format!(r##"{{"$ref":"#d0","$defs":{{{},"d40":{{"$anchor":"d40"}}}}}}"##, anchored.join(",")),
        based,
    ] {
        assert_eq!(Schema::compile(&schema).err(), Some(BadSchema::TooTangled), "{schema:.100}");
    }
    assert_eq!(check(&chain(8, twice("allOf"), object), "{}"), Ok(()));
}

/// A naive validator would need more time than there is, or more stack.
#[test]
fn what_refers_to_itself_comes_to_an_end() {
    let deep = |last: &str| format!("{}{last}{}", r#"{"x":"#.repeat(62), "}".repeat(62));
    let twice = |keyword: &str| {
        format!(
            r##"{{"type":"object","{keyword}":[{{"properties":{{"x":{{"$ref":"#"}}}}}},{{"properties":{{"x":{{"$ref":"#"}}}}}}]}}"##
        )
    };
    for keyword in ["allOf", "anyOf"] {
        assert_eq!(check(&twice(keyword), &deep("{}")), Ok(()), "{keyword}");
        assert!(check(&twice(keyword), &deep("1")).is_err(), "{keyword}");
    }
    let long = chain(60, |next| next.to_owned(), r##"{"type":"object","properties":{"x":{"$ref":"#"}}}"##);
    assert_eq!(check(&long, &deep("{}")), Ok(()));
    assert!(check(&long, &deep("1")).is_err());
    let itself = r##"{"$ref":"#/$defs/a","$defs":{"a":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/a"}}}"##;
    assert_eq!(check(itself, "{}"), Ok(()));
    let tree = r##"{"type":"object","properties":{"n":{"type":"integer"},"x":{"$ref":"#"}},"required":["n"]}"##;
    assert_eq!(check(tree, r#"{"n":1,"x":{"n":"2"}}"#).map_err(|mismatch| mismatch.path), Err("/x/n".to_owned()));
}

#[test]
fn numbers_and_patterns_take_no_time() {
    let many = |one: &str| format!("[{}1]", format!("{one},").repeat(10_000));
    for (schema, arguments) in [
        (r#"{"type":"integer","minimum":1,"multipleOf":3}"#, "1e999999999"),
        (r#"{"enum":[1,1e99999999]}"#, "1e-999999999"),
        (r#"{"items":{"minimum":3e-900000,"multipleOf":0.003}}"#, &many("7e900000")),
        (r#"{"uniqueItems":true}"#, &many("1e900000")),
        (r#"{"pattern":"^(([a-z])+.)+[A-Z]([a-z])+$"}"#, &format!("\"{}\"", "a".repeat(1_000_000))),
    ] {
        assert!(check(schema, arguments).is_err(), "{schema}");
    }
}

#[test]
fn a_schema_is_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Schema>();
}
