//! The rules of 2026-07-28 as a table: what is wrong with a request, and what the answer says.

use crate::harness::gateway::KEY;
use crate::harness::messages::{META, modern, request, start_discovered};
use crate::harness::recorder::{Recorder, Speaks, TOOL};

/// A tool with a mirrored argument.
const MIRRORING: &str = r#"{"name":"mirror","inputSchema":{"type":"object","properties":{"region":{"type":"string","x-mcp-header":"Region"}}}}"#;
const VERSION: &str = "MCP-Protocol-Version: 2026-07-28";
const METHOD: &str = "Mcp-Method: tools/call";
const NAME: &str = "Mcp-Name: rec__say";
const JSON: &str = "Content-Type: application/json";
const ACCEPT: &str = "Accept: application/json, text/event-stream";
const CALL: &str = r#""name":"rec__say","#;

/// A call in which each of the first lines has become the second; what is empty is left out.
struct Case {
    what: &'static str,
    changes: Vec<(&'static str, &'static str)>,
    body: Vec<u8>,
    status: u16,
    code: Option<i64>,
}

fn case(
    what: &'static str,
    changes: &[(&'static str, &'static str)],
    body: impl Into<Vec<u8>>,
    status: u16,
    code: impl Into<Option<i64>>,
) -> Case {
    Case { what, changes: changes.to_vec(), body: body.into(), status, code: code.into() }
}

#[rustfmt::skip]
fn headers() -> Vec<Case> {
    let body = request("1", "tools/call", CALL);
    let mirror = |region: &str| request("1", "tools/call", &format!(r#""name":"rec__mirror","arguments":{{"region":{region}}},"#));
    let meta = |version: &str| body.replace("2026-07-28", version);
    let unlike = |what, changes: &[_]| case(what, changes, body.clone(), 400, -32020);
    let fine = |what, changes: &[_]| case(what, changes, body.clone(), 200, None);
    vec![
        unlike("no Mcp-Method", &[(METHOD, "")]),
        unlike("no Mcp-Name", &[(NAME, "")]),
        unlike("no MCP-Protocol-Version", &[(VERSION, "")]),
        unlike("another Mcp-Method", &[(METHOD, "Mcp-Method: tools/list")]),
        unlike("another case of Mcp-Method", &[(METHOD, "Mcp-Method: Tools/Call")]),
        unlike("another Mcp-Name", &[(NAME, "Mcp-Name: rec__mirror")]),
        unlike("another case of Mcp-Name", &[(NAME, "Mcp-Name: Rec__Say")]),
        unlike("an empty Mcp-Name", &[(NAME, "Mcp-Name:")]),
        unlike("Mcp-Method twice", &[(METHOD, "Mcp-Method: tools/call\r\nMcp-Method: tools/call")]),
        unlike("Mcp-Name twice", &[(NAME, "Mcp-Name: rec__say\r\nmcp-name: rec__mirror")]),
        unlike("MCP-Protocol-Version twice", &[(VERSION, "MCP-Protocol-Version: 2026-07-28\r\nMCP-Protocol-Version: 2025-11-25")]),
        unlike("the version of the other era", &[(VERSION, "MCP-Protocol-Version: 2025-11-25")]),
        unlike("bad base64", &[(NAME, "Mcp-Name: =?base64?cmVjX19zYXk?=")]),
        unlike("no base64 at all", &[(NAME, "Mcp-Name: =?base64?%%%?=")]),
        unlike("base64 of another name", &[(NAME, "Mcp-Name: =?base64?c2F5?=")]),
        unlike("a sentinel in the wrong case", &[(NAME, "Mcp-Name: =?BASE64?cmVjX19zYXk=?=")]),
        unlike("half a sentinel", &[(NAME, "Mcp-Name: =?base64?cmVjX19zYXk=")]),
        fine("base64", &[(NAME, "Mcp-Name: =?base64?cmVjX19zYXk=?=")]),
        fine("white space around values", &[(NAME, "Mcp-Name: \t rec__say \t"), (METHOD, "mcp-method:tools/call")]),
        fine("a session that nobody asked for", &[(NAME, "Mcp-Name: rec__say\r\nMcp-Session-Id: what\r\nLast-Event-ID: 1")]),
        case("no Mcp-Param", &[(NAME, "Mcp-Name: rec__mirror")], mirror(r#""eu""#), 400, -32020),
        case("another Mcp-Param", &[(NAME, "Mcp-Name: rec__mirror\r\nMcp-Param-Region: us")], mirror(r#""eu""#), 400, -32020),
        case("Mcp-Param for null", &[(NAME, "Mcp-Name: rec__mirror\r\nMcp-Param-Region: eu")], mirror("null"), 400, -32020),
        case("Mcp-Param", &[(NAME, "Mcp-Name: rec__mirror\r\nMcp-Param-Region: =?base64?ZXU=?=")], mirror(r#""\u0065u""#), 200, None),
        case("an unknown version", &[(VERSION, "MCP-Protocol-Version: 2099-01-01")], meta("2099-01-01"), 400, -32022),
        case("an unknown version, in the header alone", &[(VERSION, "MCP-Protocol-Version: 2099-01-01")], meta("2026-07-28").replace(META, r#""_meta":{}"#), 400, -32022),
        case("another media type", &[(JSON, "Content-Type: text/plain")], body.clone(), 415, -32600),
        case("no media type", &[(JSON, "")], body.clone(), 415, -32600),
        case("a body that is packed", &[(JSON, "Content-Type: application/json\r\nContent-Encoding: gzip")], body.clone(), 415, -32600),
        fine("a media type with a parameter", &[(JSON, "Content-Type: Application/JSON; charset=utf-8")]),
        case("no events accepted", &[(ACCEPT, "Accept: application/json")], body.clone(), 406, -32600),
        case("no JSON accepted", &[(ACCEPT, "Accept: text/event-stream, text/html")], body.clone(), 406, -32600),
        fine("everything accepted", &[(ACCEPT, "Accept: */*")]),
        fine("accepted in two fields", &[(ACCEPT, "Accept: text/event-stream;q=0.5\r\nAccept: application/json")]),
    ]
}

#[rustfmt::skip]
fn bodies() -> Vec<Case> {
    let body = request("1", "tools/call", CALL);
    let with = |from: &str, to: &str| {
        assert!(body.contains(from), "{from}");
        body.replacen(from, to, 1)
    };
    let nested = |depth: usize| request("1", "tools/call", &format!("{CALL}\"arguments\":{}{},", "[".repeat(depth - 2), "]".repeat(depth - 2)));
    let table = [
        ("no _meta", with(&format!(",{META}"), ""), -32602),
        ("_meta of the wrong type", with(META, r#""_meta":"x""#), -32602),
        ("no version in _meta", with(r#""io.modelcontextprotocol/protocolVersion":"2026-07-28","#, ""), -32602),
        ("a version that is no text", with(r#":"2026-07-28""#, ":20260728"), -32602),
        ("no capabilities in _meta", with(r#","io.modelcontextprotocol/clientCapabilities":{}"#, ""), -32602),
        ("capabilities of the wrong type", with(r#"clientCapabilities":{}"#, r#"clientCapabilities":[]"#), -32602),
        ("params that are a list", r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":[]}"#.to_owned(), -32602),
        ("a batch", format!("[{body}]"), -32600),
        ("an empty batch", "[]".to_owned(), -32600),
        ("a text", r#""tools/call""#.to_owned(), -32600),
        ("no method", with(r#","method":"tools/call""#, ""), -32600),
        ("no jsonrpc", with(r#""jsonrpc":"2.0","#, ""), -32600),
        ("another jsonrpc", with(r#""2.0""#, r#""1.0""#), -32600),
        ("id null", with(r#""id":1"#, r#""id":null"#), -32600),
        ("an id with a fraction", with(r#""id":1"#, r#""id":1.5"#), -32600),
        ("an id that is an object", with(r#""id":1"#, r#""id":{}"#), -32600),
        ("id twice", with(r#""id":1"#, r#""id":1,"id":2"#), -32600),
        ("method twice", with(r#""id":1"#, r#""id":1,"method":"tools/list""#), -32600),
        ("method twice, once in escapes", with(r#""id":1"#, r#""id":1,"\u006dethod":"tools/list""#), -32600),
        ("params twice", with(r#""id":1"#, r#""id":1,"params":{}"#), -32600),
        ("name twice", with(CALL, r#""name":"rec__mirror","name":"rec__say","#), -32600),
        ("_meta twice", with(CALL, r#""name":"rec__say","_meta":{},"#), -32600),
        ("a call and an answer", with(r#""id":1"#, r#""id":1,"result":{}"#), -32600),
        ("nothing", String::new(), -32700),
        ("half of it", body[..body.len() / 2].to_owned(), -32700),
        ("two of it", format!("{body}{body}"), -32700),
        ("a trailing comma", with("}}}", "}},}"), -32700),
        ("NaN", with(CALL, &format!("{CALL}\"arguments\":NaN,")), -32700),
        ("a lone surrogate", with(CALL, &format!(r#"{CALL}"arguments":"\ud800","#)), -32700),
        ("a control character", with(CALL, &format!("{CALL}\"arguments\":\"\u{1}\",")), -32700),
        ("a byte order mark", format!("\u{feff}{body}"), -32700),
        ("nested 65 deep", nested(65), -32700),
    ];
    let mut cases: Vec<Case> = table.into_iter().map(|(what, body, code)| case(what, &[], body, 400, code)).collect();
    cases.push(case("no UTF-8", &[], b"{\"jsonrpc\":\"2.0\",\"id\":\"\xff\",\"method\":\"tools/call\"}".to_vec(), 400, -32700));
    cases.push(case("nested 64 deep", &[], nested(64), 200, None));
    cases
}

#[rustfmt::skip]
fn methods() -> Vec<Case> {
    let names = [
        "Mcp-Method: nothing/known",
        "Mcp-Method: initialize",
        "Mcp-Method: ping",
        "Mcp-Method: logging/setLevel",
        "Mcp-Method: resources/subscribe",
        "Mcp-Method: resources/unsubscribe",
        "Mcp-Method: TOOLS/LIST",
        "Mcp-Method: tasks/list",
    ];
    let unknown = names.into_iter().map(|line| {
        let (_, method) = line.split_once(": ").unwrap();
        case(method, &[(METHOD, line), (NAME, "")], request("1", method, ""), 404, -32601)
    });
    let listing = [(METHOD, "Mcp-Method: tools/list"), (NAME, "")];
    let calling = |name: &str| request("1", "tools/call", &format!(r#""name":"{name}","#));
    let more = vec![
        case("a bad cursor", &listing, request("1", "tools/list", r#""cursor":"%%%","#), 400, -32602),
        case("a cursor that is no UTF-8", &listing, request("1", "tools/list", r#""cursor":"_w","#), 400, -32602),
        case("a tool without a server", &[(NAME, "Mcp-Name: nothing")], calling("nothing"), 200, -32602),
        case("a tool that is not listed, which its server may know", &[(NAME, "Mcp-Name: rec__nothing")], calling("rec__nothing"), 200, None),
        case("an unknown server", &[(NAME, "Mcp-Name: nobody__say")], calling("nobody__say"), 200, -32602),
    ];
    unknown.chain(more).collect()
}

#[tokio::test]
async fn the_rules_of_the_modern_era() {
    let recorder = Recorder::start(Speaks::Modern, &[TOOL, MIRRORING]).await;
    let gateway = start_discovered(&format!("servers:\n  rec: {{url: \"{}\"}}", recorder.url())).await;
    let mut wrong = Vec::new();
    for Case { what, changes, body, status, code } in headers().into_iter().chain(bodies()).chain(methods()) {
        let mut lines = modern(KEY, "tools/call", Some("rec__say"));
        for (from, to) in changes {
            let at = lines.iter().position(|line| line == from).expect("the line is there");
            lines[at] = to.to_owned();
        }
        lines.retain(|line| !line.is_empty());
        let calls = recorder.calls().len();
        let mut client = gateway.client().await;
        let answer = client.post("/mcp", &lines, &body).await.unwrap_or_else(|error| panic!("{what}: {error}"));
        let json = answer.json();
        let reaches = usize::from(code.is_none());
        let (id, error) = (json.get("id"), &json["error"]);
        let id_fits = match code {
            Some(-32700) => id.is_none(),
            Some(-32600) => true,
            _ => id == Some(&1.into()),
        };
        let fits = answer.status == status
            && error["code"].as_i64() == code
            && recorder.calls().len() == calls + reaches
            && id_fits
            && answer.header("mcp-session-id").is_none()
            && (code != Some(-32022)
                || error["data"]["supported"]
                    .as_array()
                    .is_some_and(|versions| versions.contains(&"2026-07-28".into()))
                    && error["data"]["requested"] == "2099-01-01");
        if !fits {
            wrong.push(format!(
                "{what}: wanted {status} {code:?}, got {} {}, {} calls went up",
                answer.status,
                answer.text(),
                recorder.calls().len() - calls
            ));
        }
    }
    assert!(wrong.is_empty(), "{} of the rules do not hold:\n{}", wrong.len(), wrong.join("\n"));
}
