use super::*;
use std::collections::HashMap;
use std::fmt::Write;
use tollbridge_filters::catalog::Kind;
use tollbridge_filters::names::ServerId;

fn entries(tools: &[Value]) -> Vec<Entry> {
    tools.iter().map(|tool| Entry::read(Kind::Tool, &tool.to_string()).unwrap()).collect()
}

fn document_of(tools: &[Value]) -> Value {
    let server = ServerId::derive("s").unwrap();
    let entries = entries(tools);
    let line = |entry| Line { name: "not used", entry, server: &server, hidden: false };
    serde_json::from_str(&document(&entries.iter().map(line).collect::<Vec<_>>(), "https://tools.example.com")).unwrap()
}

/// The components that a schema becomes, named without the operation, and without the component of
/// the other schema.
fn components(key: &str, schema: &Value) -> Value {
    let document = document_of(&[json!({"name": "t", key: schema})]);
    let schemas = document["components"]["schemas"].as_object().unwrap().clone();
    let other = if key == "inputSchema" { "s__t_output" } else { "s__t_input" };
    let own = schemas.into_iter().filter(|(name, _)| name.starts_with("s__t_") && name != other);
    let text = Value::Object(own.collect()).to_string();
    serde_json::from_str(&text.replace("#/components/schemas/s__t_", "").replace("s__t_", "")).unwrap()
}

/// A property `p` of an input becomes this, with these other components.
#[test]
fn schemas_are_hoisted() {
    let reference = |name: &str| json!({"$ref": name});
    let object = |name: &str, kind: &str| json!({"type": "object", "properties": {name: {"type": kind}}});
    let node = json!({"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}}});
    let table = [
        (
            "a definition",
            reference("#/$defs/A"),
            json!({"A": object("x", "string")}),
            reference("A"),
            json!({"A": object("x", "string")}),
        ),
        (
            "recursion",
            reference("#/$defs/Node"),
            json!({"Node": node}),
            reference("Node"),
            json!({"Node": {"type": "object", "properties": {"next": {"$ref": "Node"}}}}),
        ),
        ("the root", reference("#"), json!({}), reference("input"), json!({})),
        (
            "an alias",
            reference("#/$defs/A"),
            json!({"A": {"$ref": "#/$defs/B"}, "B": object("x", "string")}),
            reference("B"),
            json!({"B": object("x", "string")}),
        ),
        (
            "a deeper pointer",
            reference("#/$defs/A/properties/x"),
            json!({"A": object("x", "string")}),
            reference("x"),
            json!({"x": {"type": "string"}}),
        ),
        (
            "escapes",
            reference("#/$defs/a~1b%20c"),
            json!({"a/b c": {"type": "integer"}}),
            reference("a_b_c_f17360d5"),
            json!({"a_b_c_f17360d5": {"type": "integer"}}),
        ),
        (
            "an object in place",
            object("x", "string"),
            json!({}),
            reference("input_p"),
            json!({"input_p": object("x", "string")}),
        ),
        (
            "outside",
            json!({"$ref": "https://e.com/x#/y", "description": "D"}),
            json!({}),
            json!({"description": "D\n\nDescribed outside of this document: https://e.com/x#/y"}),
            json!({}),
        ),
        (
            "nowhere",
            reference("#/$defs/gone"),
            json!({}),
            json!({"description": "Its description is missing: #/$defs/gone"}),
            json!({}),
        ),
        (
            "a circle of aliases",
            reference("#/$defs/A"),
            json!({"A": {"$ref": "#/$defs/A"}}),
            json!({"description": "Its description is missing: #/$defs/A"}),
            json!({}),
        ),
        (
            "an array of itself",
            reference("#/$defs/L"),
            json!({"L": {"type": "array", "items": {"$ref": "#/$defs/L"}}}),
            reference("L"),
            json!({"L": {"type": "array", "items": {}}}),
        ),
        (
            "an enumeration",
            json!({"enum": ["a", "b"], "default": "b", "description": "D"}),
            json!({}),
            json!({"allOf": [{"$ref": "input_p"}], "default": "b"}),
            json!({"input_p": {"type": "string", "enum": ["a", "b"], "description": "D"}}),
        ),
        (
            "with null",
            json!({"enum": [1, null]}),
            json!({}),
            json!({"anyOf": [{"$ref": "input_p"}, {"type": "null"}]}),
            json!({"input_p": {"type": "integer", "enum": [1]}}),
        ),
        (
            "values alike",
            json!({"enum": ["asc", "ASC"]}),
            json!({}),
            json!({"type": "string", "description": "One of: \"asc\", \"ASC\""}),
            json!({}),
        ),
        (
            "values of two types",
            json!({"enum": ["a", 1]}),
            json!({}),
            json!({"type": ["integer", "string"], "description": "One of: \"a\", 1"}),
            json!({}),
        ),
        ("one value", json!({"enum": ["a"]}), json!({}), json!({"type": "string", "const": "a"}), json!({})),
        (
            "or null",
            json!({"anyOf": [{"type": "integer"}, {"type": "null"}], "default": 5}),
            json!({}),
            json!({"anyOf": [{"type": "integer"}, {"type": "null"}], "default": 5}),
            json!({}),
        ),
        (
            "types",
            json!({"type": ["object", "null"], "properties": {"x": {}}}),
            json!({}),
            json!({"anyOf": [{"$ref": "input_p"}, {"type": "null"}]}),
            json!({"input_p": {"type": "object", "properties": {"x": {}}}}),
        ),
        (
            "a bad default",
            json!({"type": "integer", "default": 0, "minimum": 1}),
            json!({}),
            json!({"type": "integer", "minimum": 1}),
            json!({}),
        ),
        ("true", json!(true), json!({}), json!({}), json!({})),
        (
            "bad keywords",
            json!({"type": "any", "required": true, "minLength": "1", "exclusiveMinimum": true, "$anchor": "a", "$dynamicRef": "#a"}),
            json!({}),
            json!({}),
            json!({}),
        ),
        (
            "a tuple",
            json!({"prefixItems": [{"type": "string"}, {"type": "number"}], "items": false}),
            json!({}),
            json!({"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "number"}]}}),
            json!({}),
        ),
        (
            "an open tuple",
            json!({"items": [{"type": "string"}]}),
            json!({}),
            json!({"type": "array", "items": {}}),
            json!({}),
        ),
        (
            "parts",
            json!({"allOf": [{"$ref": "#/$defs/A"}, object("y", "number")]}),
            json!({"A": object("x", "string")}),
            reference("input_p"),
            json!({"input_p": {"type": "object", "properties": {"x": {"type": "string"}, "y": {"type": "number"}}}}),
        ),
        (
            "names alike",
            json!({"type": "object", "properties": {"+1": {}, "-1": {}}, "required": ["+1", "-1"], "additionalProperties": false}),
            json!({}),
            reference("input_p"),
            json!({"input_p": {"type": "object", "description": "Also takes: -1", "properties": {"+1": {}}, "required": ["+1"]}}),
        ),
        (
            "closed",
            json!({"type": "object", "additionalProperties": false}),
            json!({}),
            reference("input_p"),
            json!({"input_p": {"type": "object", "additionalProperties": false}}),
        ),
        (
            "patterns",
            json!({"type": "string", "pattern": "^\\p{L}$"}),
            json!({}),
            json!({"type": "string", "description": "Pattern: ^\\p{L}$"}),
            json!({}),
        ),
    ];
    for (what, property, definitions, expected, others) in table {
        for key in ["$defs", "definitions"] {
            let rename =
                |value: &Value| -> Value { serde_json::from_str(&value.to_string().replace("$defs", key)).unwrap() };
            let schema = json!({"$schema": "x", "$id": "https://e.com/", "type": "object", "properties": {"p": rename(&property)}, key: rename(&definitions)});
            let mut components = components("inputSchema", &schema);
            let input = components.as_object_mut().unwrap().shift_remove("input").unwrap();
            let expected = json!({"type": "object", "properties": {"p": rename(&expected)}});
            assert_eq!(input, expected, "{what}");
            assert_eq!(components, rename(&others), "{what}");
        }
    }
}

#[test]
fn arguments_are_an_object_whatever_a_tool_says() {
    let open = json!({"type": "object"});
    let x = json!({"type": "object", "properties": {"x": {"type": "string"}}});
    for (schema, input, output) in [
        (json!(true), &open, &open),
        (json!(7), &open, &open),
        (json!({"type": "string"}), &open, &json!({"type": "string"})),
        (json!({"properties": {"x": {"type": "string"}}}), &x, &x),
        (
            json!({"type": "object", "properties": {"x": {"type": "string"}}, "anyOf": [{"required": ["x"]}, {}]}),
            &x,
            &x,
        ),
        (json!({"$ref": "#/$defs/X", "$defs": {"X": x}}), &x, &x),
        (json!({"type": "array", "items": {"$ref": "#"}}), &open, &json!({"type": "array", "items": {}})),
    ] {
        assert_eq!(components("inputSchema", &schema)["input"], *input, "{schema}");
        assert_eq!(components("outputSchema", &schema)["output"], *output, "{schema}");
    }
    let document = document_of(&[json!({"name": "t"})]);
    assert_eq!(document["components"]["schemas"]["s__t_input"], open, "no schema at all");
}

/// References inside, names and keywords that a document must not have; what comes of it is tried
/// with a validator and a generator outside of this test.
#[test]
fn a_document_of_nasty_tools_is_sound() {
    let tools: Vec<Value> = serde_json::from_str(include_str!("tests/nasty.json")).unwrap();
    let document = document_of(&tools);
    println!("{document}");
    assert_eq!(document, document_of(&tools), "the same tools make the same document");
    let operations = document["paths"].as_object().unwrap();
    assert_eq!(operations.len(), tools.len());
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let mut spoken = HashMap::new();
    let ids = operations.values().map(|path| path["post"]["operationId"].as_str().unwrap());
    for name in schemas.keys().map(String::as_str).chain(ids) {
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c)), "{name}");
        assert_eq!(spoken.insert(components::spoken(name), name), None, "{name} is like another name");
    }
    let text = document.to_string();
    for (_, rest) in text.match_indices("{\"$ref\":\"").map(|(at, found)| text.split_at(at + found.len())) {
        let pointer = rest.split('"').next().and_then(|reference| reference.strip_prefix('#')).unwrap();
        assert!(document.pointer(pointer).is_some(), "{pointer}");
    }
    for keyword in ["$defs", "definitions", "$schema", "$id", "x-mcp-header", "pattern", "not"] {
        assert!(!text.contains(&format!("\"{keyword}\":")), "{keyword}");
    }
}

#[test]
fn tools_have_paths_of_their_own() {
    let tools = ["plain", "with space", "..", "a.b~c-d_e", "größe"].map(|name| json!({"name": name}));
    let colliding = json!({"name": function_name("with space")});
    let document = document_of(&[&tools[..], &[colliding]].concat());
    let paths: Vec<&str> = document["paths"].as_object().unwrap().keys().map(String::as_str).collect();
    let function = |name: &str| format!("/mcp/s/tools/{}", function_name(name));
    // A tool whose name is the function name of another has the path; calls go by names first.
    assert_eq!(
        paths,
        ["/mcp/s/tools/plain", &function(".."), "/mcp/s/tools/a.b~c-d_e", &function("größe"), &function("with space")]
    );
}

#[test]
fn huge_descriptions_have_bounds() {
    let doubling: Map<String, Value> = (0..200)
        .map(|level| {
            let next = json!({"allOf": [{"$ref": format!("#/$defs/L{}", level + 1)}, {"minItems": level}]});
            (
                format!("L{level}"),
                json!({"type": "array", "items": {"anyOf": [next, {"type": "array", "items": next}]}}),
            )
        })
        .collect();
    let mut chain = String::new();
    for level in 0..5_000 {
        write!(chain, r##""C{level}":{{"type":"array","items":{{"$ref":"#/$defs/C{}"}}}},"##, level + 1).unwrap();
    }
    let chain: Value = serde_json::from_str(&format!("{{{chain}\"C5000\":{{}}}}")).unwrap();
    let wide: Map<String, Value> = (0..5_000)
        .map(|at| {
            (format!("p{at}"), json!({"allOf": [{"$ref": "#/$defs/Base"}, {"properties": {format!("q{at}"): {}}}]}))
        })
        .collect();
    let base: Map<String, Value> = (0..5_000).map(|at| (format!("b{at}"), json!({"type": "string"}))).collect();
    for (what, schema) in [
        ("doubling", json!({"type": "object", "properties": {"p": {"$ref": "#/$defs/L0"}}, "$defs": doubling})),
        ("chain", json!({"type": "object", "properties": {"p": {"$ref": "#/$defs/C0"}}, "$defs": chain})),
        (
            "wide",
            json!({"type": "object", "properties": wide, "$defs": {"Base": {"type": "object", "properties": base}}}),
        ),
    ] {
        let text = document_of(&[json!({"name": "t", "inputSchema": schema})]).to_string();
        assert!(text.len() < 8 << 20, "{what}: {}", text.len());
    }
    let many: Vec<Value> = (0..TOOLS_MAX + 1).map(|at| json!({"name": format!("t{at}")})).collect();
    assert_eq!(document_of(&many)["paths"].as_object().unwrap().len(), TOOLS_MAX);
}
