//! The address of a Redis: one node, a primary that Sentinels know, or a cluster.

use super::place::Place;
use percent_encoding::percent_decode_str;

/// A Redis, and how it is found.
#[derive(Clone, Debug, PartialEq)]
pub struct Redis {
    pub topology: Topology,
    pub is_tls: bool,
    pub user: Option<String>,
    pub password: Option<String>,
    pub database: i64,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Topology {
    Node(Node),
    /// The Sentinels, and what they call the primary.
    Sentinel {
        sentinels: Vec<Node>,
        primary: String,
    },
    /// Some of its nodes; the rest is asked for.
    Cluster(Vec<Node>),
}

/// Host and port.
pub type Node = (String, u16);

const PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;

const SCHEMES: [(&str, &str, bool); 6] = [
    ("redis", "", false),
    ("rediss", "", true),
    ("redis-sentinel", "sentinel", false),
    ("rediss-sentinel", "sentinel", true),
    ("redis-cluster", "cluster", false),
    ("rediss-cluster", "cluster", true),
];

/// What is wrong is said without the text, which may hold a password.
pub(super) fn read(place: &Place<'_>) -> Option<Redis> {
    parse(&place.text()?).map_or_else(|why| place.refuse(why), Some)
}

/// The text of a URL, or what is wrong with it.
pub fn parse(text: &str) -> Result<Redis, String> {
    let example = "write redis://host:6379/0, rediss:// with TLS, redis-sentinel://a:26379,b:26379/primary or redis-cluster://a,b";
    let (scheme, rest) = text.split_once("://").ok_or_else(|| format!("this is no URL of a Redis; {example}"))?;
    let known = SCHEMES.iter().find(|(name, ..)| *name == scheme);
    let (_, kind, is_tls) = known.ok_or_else(|| format!("{scheme:?} is no scheme of a Redis; {example}"))?;
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (user, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (user, password) = user.split_once(':').unwrap_or((user, ""));
    let port = if *kind == "sentinel" { SENTINEL_PORT } else { PORT };
    let nodes = hosts.split(',').map(|host| node(host, port)).collect::<Option<Vec<_>>>();
    let nodes = nodes.ok_or_else(|| format!("a host or a port is wrong; {example}"))?;
    let (primary, number) = match *kind {
        "sentinel" => path.split_once('/').unwrap_or((path, "")),
        _ => ("", path),
    };
    let database = if number.is_empty() { Ok(0) } else { number.parse() };
    let topology = match (*kind, nodes.as_slice()) {
        ("cluster", _) => Topology::Cluster(nodes),
        ("sentinel", _) if primary.is_empty() => {
            return Err(
                "the name of the primary is missing; write it, as in redis-sentinel://a:26379/primary".to_owned()
            );
        }
        ("sentinel", _) => Topology::Sentinel { sentinels: nodes, primary: primary.to_owned() },
        (_, [node]) => Topology::Node(node.clone()),
        _ => return Err(format!("several hosts are a cluster, or Sentinels; {example}")),
    };
    let database = database.ok().filter(|number| (0..=1_000).contains(number));
    Ok(Redis {
        topology,
        is_tls: *is_tls,
        user: decoded(user)?,
        password: decoded(password)?,
        database: database.ok_or("a database is a number, as in redis://host:6379/0")?,
    })
}

fn node(text: &str, port: u16) -> Option<Node> {
    let (host, port) = match text.rsplit_once(':') {
        // The colons of a bare IPv6 address are none before a port.
        Some((host, number)) if !host.contains(':') || host.ends_with(']') => (host, number.parse().ok()?),
        _ => (text, port),
    };
    let host = host.trim_matches(['[', ']']);
    (!host.is_empty() && !host.contains(char::is_whitespace)).then(|| (host.to_owned(), port))
}

fn decoded(text: &str) -> Result<Option<String>, &'static str> {
    let decoded = percent_decode_str(text).decode_utf8();
    let decoded = decoded.map_err(|_| "user and password are UTF-8, with %-escapes where they hold : / @ or %")?;
    Ok((!decoded.is_empty()).then(|| decoded.into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str, port: u16) -> Node {
        (name.to_owned(), port)
    }

    #[test]
    fn what_an_address_says() {
        let parsed = parse("rediss://gate:p%40ss%2F@redis.internal:7000/3").unwrap();
        let wanted = Redis {
            topology: Topology::Node(host("redis.internal", 7000)),
            is_tls: true,
            user: Some("gate".to_owned()),
            password: Some("p@ss/".to_owned()),
            database: 3,
        };
        assert_eq!(parsed, wanted);
        let topology = |text: &str| parse(text).unwrap().topology;
        assert_eq!(topology("redis://[::1]:6380"), Topology::Node(host("::1", 6380)));
        let sentinels = vec![host("a", 26379), host("b", 5)];
        assert_eq!(
            topology("redis-sentinel://a,b:5/mymaster"),
            Topology::Sentinel { sentinels, primary: "mymaster".to_owned() }
        );
        assert_eq!(topology("redis-cluster://a,b:5"), Topology::Cluster(vec![host("a", 6379), host("b", 5)]));
        assert_eq!(parse("redis://:only@a").unwrap().password.as_deref(), Some("only"));
        assert_eq!(parse("redis://a").unwrap().user, None);
    }

    #[test]
    fn what_is_wrong_with_one() {
        let table = [
            ("localhost:6379", "no URL"),
            ("http://a", "no scheme"),
            ("redis://a,b", "a cluster"),
            ("redis://", "a host or a port"),
            ("redis://a:x", "a host or a port"),
            ("redis://a/b", "a number"),
            ("redis-sentinel://a", "the primary"),
        ];
        for (text, part) in table {
            let said = parse(text).unwrap_err();
            assert!(said.contains(part), "{text}: {said}");
        }
    }
}
