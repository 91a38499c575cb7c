use super::*;
use crate::conf::{Endpoints, Server};
use crate::upstream::Pool;
use std::sync::Arc;
use tollbridge_filters::names::ServerId;

fn guard(allow: &str) -> Guard {
    let conf = crate::conf::parse(&format!("outbound: {{allow: [{allow}]}}"), &|_| None);
    Guard::of(&conf.unwrap_or_else(|problems| panic!("{allow}: {problems}")))
}

fn addr(ip: &str) -> SocketAddr {
    SocketAddr::new(ip.parse().expect(ip), 80)
}

const SPECIAL: [&str; 42] = [
    "127.0.0.1",
    "127.255.0.1",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "169.254.169.254",
    "169.254.170.2",
    "168.63.129.16",
    "100.64.0.1",
    "100.100.100.200",
    "192.0.0.192",
    "198.18.0.1",
    "198.19.255.255",
    "240.0.0.1",
    "0.0.0.1",
    "::1",
    "fe80::1",
    "fec0::1",
    "fc00::1",
    "fd12:3456::1",
    "fd00:ec2::254",
    "fd20:ce::254",
    "100::1",
    // By the IPv4 address in them: mapped, compatible, translated, NAT64, 6to4, Teredo.
    "::ffff:127.0.0.1",
    "::ffff:a00:1",
    "::ffff:169.254.169.254",
    "::127.0.0.1",
    "::10.0.0.1",
    "::2",
    "::ffff:0:192.168.1.1",
    "64:ff9b::127.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "64:ff9b:1:ffff::8.8.8.8",
    "2002:7f00:1::",
    "2002:a00:1::1",
    "2002:a9fe:a9fe::1",
    // 10.0.0.1 and 127.0.0.1 as clients of Teredo, 10.0.0.1 as its server.
    "2001:0:808:808::f5ff:fffe",
    "2001:0:808:808::80ff:fffe",
    "2001:0:a00:1::f7f7:f7f7",
    "255.255.255.254",
];

const NEVER: [&str; 12] = [
    "0.0.0.0",
    "255.255.255.255",
    "224.0.0.1",
    "239.255.255.250",
    "::",
    "ff02::1",
    "ff05::2",
    "::ffff:0.0.0.0",
    "::ffff:255.255.255.255",
    "64:ff9b::224.0.0.1",
    "2002:0:0::1",
    "2002:e000:1::",
];

const PUBLIC: [&str; 14] = [
    "8.8.8.8",
    "1.1.1.1",
    "172.15.255.255",
    "172.32.0.1",
    "100.63.255.255",
    "100.128.0.1",
    "198.17.255.255",
    "192.0.1.1",
    "223.255.255.255",
    "2606:4700:4700::1111",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
    "2002:808:808::1",
    "2001:0:808:808::f7f7:f7f7",
];

const EVERYTHING: &str = "0.0.0.0/0, \"::/0\"";

#[test]
fn only_public_addresses_are_admitted_unless_others_are_listed() {
    let (none, all) = (guard(""), guard(EVERYTHING));
    for ip in PUBLIC {
        assert!(none.admits(addr(ip)), "{ip} is public");
    }
    for ip in SPECIAL {
        assert!(!none.admits(addr(ip)), "{ip} is not public");
        let is_metadata = METADATA_6.iter().any(|metadata| *metadata == addr(ip).ip());
        assert_eq!(all.admits(addr(ip)), !is_metadata, "{ip}, listed with everything else");
        assert!(guard(&format!("\"{ip}\"")).admits(addr(ip)), "{ip}, listed");
    }
    for ip in NEVER {
        assert!(![&none, &all, &guard(&format!("\"{ip}\""))].into_iter().any(|guard| guard.admits(addr(ip))), "{ip}");
    }
}

#[test]
fn a_range_that_is_listed_opens_itself_and_nothing_else() {
    for (allow, ip, admitted) in [
        ("10.0.0.0/8", "10.1.2.3", true),
        ("10.0.0.0/8", "11.1.2.3", true),
        ("10.0.0.0/8", "192.168.0.1", false),
        ("10.1.0.0/16", "10.2.0.1", false),
        ("10.1.2.3/8", "10.200.0.1", true),
        ("10.1.2.3", "10.1.2.3", true),
        ("10.1.2.3", "10.1.2.4", false),
        ("10.0.0.0/8", "::ffff:10.1.2.3", true),
        ("10.0.0.0/8", "64:ff9b::10.1.2.3", true),
        ("127.0.0.0/8", "::1", false),
        ("\"::1\"", "::1", true),
        ("\"::1\"", "127.0.0.1", false),
        ("\"fd00::/8\"", "fd00::1", true),
        ("\"fd00::/8\"", "fc00::1", false),
        ("\"fd00::/8\"", "fd00:ec2::254", false),
        ("\"fd00:ec2::254\"", "fd00:ec2::254", true),
        // Both the server and the client of Teredo must be listed.
        ("10.0.0.1", "2001:0:a00:1::f7f7:f7f7", true),
        ("10.0.0.1", "2001:0:a00:1::80ff:fffe", false),
    ] {
        assert_eq!(guard(allow).admits(addr(ip)), admitted, "{ip} where {allow} is listed");
    }
}

#[test]
fn the_gateway_itself_is_never_admitted() {
    let all: Outbound = Outbound { ranges: guard(EVERYTHING).allow.ranges, names: vec!["me.example".to_owned()] };
    let own = ["127.0.0.1:8080", "0.0.0.0:9090", "[::]:9091"].map(|own| own.parse().unwrap()).to_vec();
    let guard = Guard::new(all, own);
    for (addr, admitted) in [
        ("127.0.0.1:8080", false),
        ("[::ffff:127.0.0.1]:8080", false),
        ("[64:ff9b::127.0.0.1]:8080", false),
        ("127.0.0.2:8080", true),
        ("127.0.0.1:8081", true),
        ("127.0.0.1:9090", false),
        ("127.8.8.8:9090", false),
        ("[::1]:9090", false),
        ("[::1]:9091", false),
        ("127.0.0.1:9091", false),
        ("8.8.8.8:9090", true),
    ] {
        assert_eq!(guard.admits(addr.parse().unwrap()), admitted, "{addr}");
        assert_eq!(guard.reaches("me.example", addr.parse().unwrap()), admitted, "{addr} by a name that is listed");
    }
}

#[test]
fn a_host_is_as_good_as_the_worst_of_its_addresses() {
    for (allow, host, found, admitted) in [
        ("", "h.example", &["8.8.8.8", "1.1.1.1"][..], 2),
        ("", "h.example", &["8.8.8.8", "10.0.0.1"], 0),
        ("", "h.example", &["10.0.0.1", "8.8.8.8"], 0),
        ("", "h.example", &["8.8.8.8", "::ffff:169.254.169.254"], 0),
        ("", "h.example", &[], 0),
        ("10.0.0.0/8", "h.example", &["8.8.8.8", "10.0.0.1"], 2),
        ("H.Example", "h.eXample", &["8.8.8.8", "10.0.0.1", "127.0.0.1"], 3),
        ("h.example", "a.h.example", &["10.0.0.1"], 0),
        ("h.example", "example", &["10.0.0.1"], 0),
        ("h.example", "h.example", &["10.0.0.1", "0.0.0.0"], 0),
        ("h.example", "h.example", &["224.0.0.1"], 0),
        ("127.0.0.0/8", "localhost", &["127.0.0.1", "::1"], 1),
        ("localhost", "localhost", &["127.0.0.1", "::1"], 2),
        ("", "localhost", &["127.0.0.1", "::1"], 0),
    ] {
        let ips = found.iter().map(|ip| ip.parse().unwrap()).collect();
        let count = guard(allow).admit(host, 80, ips).map_or(0, |found| found.len());
        assert_eq!(count, admitted, "{host} at {found:?} where {allow:?} is listed");
    }
}

#[test]
fn urls_are_read_in_one_way_or_not_at_all() {
    let malformed = [
        ("", "no URL"),
        ("h", "http://"),
        ("//h/", "http:// or https://"),
        ("ftp://h/", "http:// or https://"),
        ("file:///etc/passwd", "no URL"),
        ("gopher://h/", "http:// or https://"),
        ("javascript:alert(1)", "http:// or https://"),
        ("http://", "no URL"),
        ("http:///mcp", "no URL"),
        ("http://user@h/", "user or password"),
        ("http://user:password@h/", "user or password"),
        ("http://8.8.8.8@127.0.0.1/", "user or password"),
        ("http://h/#top", "fragment"),
        ("http://${HOST}/", "not expanded"),
        ("http://h/${HOME}", "not expanded"),
        ("http://h./", "ends with a dot"),
        ("http://localhost./", "ends with a dot"),
        ("http://127.0.0.1./", "ends with a dot"),
        ("http://h:0/", "the port"),
        ("http://h:/", "the port"),
        ("http://h:65536/", "the port"),
        ("http://h%2eexample/", "no URL"),
        ("http://%6c%6f%63%61%6c%68%6f%73%74/", "no URL"),
        ("http://[fe80::1%25eth0]/", "no DNS name"),
        ("http://[::1/", "no URL"),
        ("http://[127.0.0.1]/", "no DNS name"),
        ("http://ｌｏｃａｌｈｏｓｔ/", "visible ASCII"),
        ("http://127。0。0。1/", "visible ASCII"),
        ("http://h/ä", "visible ASCII"),
        ("http://h/ b", "visible ASCII"),
        ("http://h/\r\nHost: i", "visible ASCII"),
        ("http://h\\@i/", "visible ASCII"),
        ("http://127.1/", "no IP address"),
        ("http://127.0.1/", "no IP address"),
        ("http://127.0.0.1.1/", "no IP address"),
        ("http://2130706433/", "no IP address"),
        ("http://0x7f000001/", "no IP address"),
        ("http://0X7F000001/", "no IP address"),
        ("http://0x7f.0.0.1/", "no IP address"),
        ("http://127.0.0.0x1/", "no IP address"),
        ("http://0177.0.0.1/", "no IP address"),
        ("http://017700000001/", "no IP address"),
        ("http://127.00.0.1/", "no IP address"),
        ("http://256.0.0.1/", "no IP address"),
        ("http://0/", "no IP address"),
        ("http://a..b/", "no DNS name"),
        ("http://-a/", "no DNS name"),
        ("http://a,b/", "no DNS name"),
    ];
    let mut wrong = String::new();
    for (text, piece) in malformed {
        match guard("").url(text) {
            Err(Blocked::Malformed(said)) if said.contains(piece) => {}
            other => wrong.push_str(&format!("{text:?}: expected {piece:?}, got {other:?}\n")),
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    let long = format!("http://h/{}", "x".repeat(2040));
    assert_eq!(guard("").url(&long), Err(Blocked::Malformed("a URL has 2048 characters at most")));
    assert!(guard("").url(&long[..2048]).is_ok());

    for text in ["http://127.0.0.1/", "https://[::1]:8443/mcp", "http://[::ffff:10.0.0.1]/", "HTTP://169.254.169.254/"]
    {
        assert_eq!(guard("").url(text), Err(Blocked::Forbidden), "{text}");
    }
    for text in
        ["https://mcp.example/mcp?x=%20", "http://H_1.example:65535", "http://8.8.8.8/", "https://[2606:4700::1]/"]
    {
        assert!(guard("").url(text).is_ok(), "{text}");
    }
}

#[tokio::test]
async fn a_name_is_judged_by_what_it_resolves_to() {
    for (allow, url, verdict) in [
        ("", "http://localhost:3100/mcp", Err(Blocked::Forbidden)),
        ("", "http://LocalHost:3100/mcp", Err(Blocked::Forbidden)),
        ("127.0.0.0/8", "http://localhost:3100/mcp", Ok(())),
        ("\"::1\"", "http://localhost:3100/mcp", Ok(())),
        ("localhost", "http://localhost:3100/mcp", Ok(())),
        ("localhost", "http://127.0.0.1:3100/mcp", Err(Blocked::Forbidden)),
        ("127.0.0.0/8", "http://127.0.0.1:8080/mcp", Err(Blocked::Forbidden)),
        ("127.0.0.0/8", "http://127.0.0.1:9090/metrics", Err(Blocked::Forbidden)),
        ("", "http://[64:ff9b::7f00:1]/", Err(Blocked::Forbidden)),
        ("", "http://8.8.8.8/", Ok(())),
        ("", "http://not-there.invalid/", Ok(())),
    ] {
        assert_eq!(guard(allow).check(&url.parse().unwrap()).await, verdict, "{url} where {allow:?} is listed");
    }
}

/// Also when the operator closes what was open: the pool after a reload has nothing of the one before.
#[tokio::test]
async fn a_pool_has_no_address_that_its_guard_refuses() {
    let server = |allow: &str| {
        let id = ServerId::derive("s").unwrap();
        let mut server = Server::at(id, "s", Endpoints::at(Uri::from_static("http://127.0.0.1:3100/mcp")));
        server.guard = Some(Arc::new(guard(allow)));
        Arc::new(server)
    };
    let open = Pool::new(server("127.0.0.1"), None);
    open.refresh().await.unwrap();
    assert_eq!(open.endpoints().len(), 1);

    let closed = Pool::new(server(""), Some(&open));
    assert_eq!(closed.endpoints().len(), 0, "before it is resolved");
    assert_eq!(closed.refresh().await, Err(Blocked::Forbidden.to_string()));
    assert_eq!(closed.endpoints().len(), 0);

    let opened = Pool::new(server("127.0.0.0/8"), Some(&closed));
    opened.refresh().await.unwrap();
    assert_eq!(opened.endpoints().len(), 1);
}
