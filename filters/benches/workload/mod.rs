//! What the benchmarks decide on: a gateway of some size, and requests as clients send them.

mod request;
mod world;

pub use world::Size;

use request::Request;
use tollbridge_filters::jsonrpc::Envelope;
use tollbridge_filters::route::Route;
use tollbridge_filters::{Admission, Moment};
use world::{KEY, World};

/// A request that suits a gateway.
type Asked = fn(&World) -> Request;

/// One request at one gateway, before either is made: large gateways take their time.
pub struct Plan {
    pub name: String,
    size: Size,
    asked: Asked,
}

/// One request at one gateway.
pub struct Case {
    world: World,
    request: Request,
}

impl Plan {
    fn new(name: &str, size: Size, asked: Asked) -> Plan {
        Plan { name: name.to_owned(), size, asked }
    }

    pub fn prepare(&self) -> Case {
        let world = World::new(self.size);
        let request = (self.asked)(&world);
        let case = Case { world, request };
        assert!(case.is_served(), "{} is refused", self.name);
        case
    }
}

impl Case {
    /// From the head to the route: what the gateway decides for every request.
    pub fn decide(&self) -> Option<Route> {
        let World { filters, snapshot, .. } = &self.world;
        let Request { head, body } = &self.request;
        let moment = Moment { now: world::NOW, request_id: "5f0c6a2e9b7d4e13", ended: &|_| false };
        match filters.on_head(head, snapshot).ok()? {
            Admission::Mcp(admitted) => filters.on_message(head, &admitted, body.clone(), snapshot, &moment).ok(),
            Admission::Rest(visit) => filters.on_rest(head, &visit, body.clone(), snapshot, &moment).ok(),
            Admission::Pass | Admission::ResourceMetadata => None,
        }
    }

    fn is_served(&self) -> bool {
        let route = self.decide();
        let method = route.as_ref().and_then(|route| match route {
            Route::Answer(answer) => Some(&answer.envelope),
            other => other.envelope(),
        });
        method.map(Envelope::method).is_some_and(|method| matches!(method.as_ref(), "tools/call" | "tools/list"))
    }
}

/// Every kind of request at a gateway of the usual size, and those whose cost must not depend on how much
/// there is with ever more of it.
pub fn plans() -> Vec<Plan> {
    let kinds: [(&str, Asked); 11] = [
        ("modern-call-one", Request::modern_call_at_one),
        ("modern-call-all", Request::modern_call_at_all),
        ("modern-call-bare", Request::modern_call_of_bare_name),
        ("modern-list-one", Request::modern_list_at_one),
        ("modern-list-all", Request::modern_list_at_all),
        ("legacy-call-one", Request::legacy_call_at_one),
        ("legacy-call-all", Request::legacy_call_at_all),
        ("rest-plain", Request::rest_plain),
        ("rest-routeiq", Request::rest_routeiq),
        ("rest-bare", Request::rest_bare),
        ("rest-litellm", Request::rest_litellm),
    ];
    let usual = Size::USUAL;
    let servers = [10, 1_000].map(|servers| (format!("servers-{servers}"), Size { servers, tools: 1_000, ..usual }));
    let tools = [10, 10_000].map(|tools| (format!("tools-{tools}"), Size { tools, ..usual }));
    let keys = [1, 10_000].map(|keys| (format!("keys-{keys}"), Size { keys, ..usual }));
    let scales = servers.into_iter().chain(tools).chain(keys);
    let scaled =
        scales.flat_map(|(scale, size)| kinds.map(|(kind, asked)| Plan::new(&format!("{kind}/{scale}"), size, asked)));
    kinds.map(|(kind, asked)| Plan::new(kind, usual, asked)).into_iter().chain(scaled).collect()
}
