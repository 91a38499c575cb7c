use super::*;
use http::Method;

fn spot(path: &str) -> Option<(Surface, Operation, Vec<String>)> {
    let spot = Spot::find(path, Surfaces::default())?;
    let row = spot.row(&Method::GET, None).or_else(|| spot.row(&Method::POST, None))?;
    Some((row.surface, row.operation, spot.into_parameters()))
}

#[test]
fn paths_find_their_rows() {
    let named = |name: &str| vec![name.to_owned()];
    for (path, expected) in [
        ("/mcp/servers", Some((Surface::Early, Operation::Servers, vec![]))),
        ("/mcp/servers/add", Some((Surface::Oliverye, Operation::AddServers, vec![]))),
        ("/mcp/servers/x", Some((Surface::Early, Operation::Server, named("x")))),
        ("/llmrouter/mcp/tools/list", Some((Surface::Routeiq, Operation::ToolList, vec![]))),
        ("/v1/llmrouter/mcp/tools/stub.echo", Some((Surface::Routeiq, Operation::Tool, named("stub.echo")))),
        ("/v1/mcp/server/health", Some((Surface::Litellm, Operation::ServersHealth, vec![]))),
        ("/v1/mcp/server/x", Some((Surface::Litellm, Operation::Server, named("x")))),
        ("/mcp/x/tools/y", Some((Surface::Plain, Operation::Call, vec!["x".to_owned(), "y".to_owned()]))),
        ("/mcp/openapi.json", Some((Surface::Plain, Operation::OpenApi, vec![]))),
        ("/mcp/x/tools/", None),
        ("/mcp/x", None),
        ("/mcp/x/y", Some((Surface::Litellm, Operation::NotImplemented, vec!["x".to_owned(), "y".to_owned()]))),
        ("/v1/chat/completions", None),
    ] {
        assert_eq!(spot(path), expected, "{path}");
    }
}

#[test]
fn what_is_switched_off_is_not_there() {
    let surfaces = Surfaces { routeiq: false, ..Surfaces::default() };
    let rest = Spot::find("/mcp/servers", surfaces).unwrap();
    assert_eq!(rest.row(&Method::GET, None).unwrap().surface, Surface::Oliverye);
    assert_eq!(Spot::find("/llmrouter/mcp/servers", surfaces), None);
}

#[test]
fn of_two_surfaces_the_preferred_one_answers() {
    let spot = Spot::find("/mcp/tools", Surfaces::default()).unwrap();
    assert_eq!(spot.row(&Method::GET, None).unwrap().surface, Surface::Early);
    assert_eq!(spot.row(&Method::GET, Some(Surface::Oliverye)).unwrap().surface, Surface::Oliverye);
}
