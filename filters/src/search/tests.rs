use super::words::words;
use super::*;

fn document<'d>(name: &'d str, description: &'d str) -> Document<'d> {
    Document { name, title: None, description: Some(description), parameters: Vec::new(), server: "test" }
}

/// A small catalog of the usual kind.
fn catalog() -> Vec<Document<'static>> {
    vec![
        Document {
            parameters: vec!["city".into(), "Name of the city".into(), "units".into()],
            ..document("get_weather", "Returns the current weather conditions of a place")
        },
        Document { server: "github", ..document("createIssue", "Opens an issue in a repository") },
        Document { server: "github", ..document("list_issues", "Lists the issues of a repository") },
        Document { title: Some("Pocket calculator"), ..document("calculator", "Adds, subtracts and multiplies") },
        document("send_email", "Sends a message to somebody; mentions the weather if it is bad"),
        document("query-database", "Runs a read-only SQL query"),
        document("delete.file", "Removes a file for good"),
        document("read_file", "Returns what a file holds"),
        document("查询天气", "天气预报"),
        document("s3_upload", "Puts an object into a bucket"),
    ]
}

fn index() -> Index {
    Index::build(catalog().into_iter())
}

fn found(query: &str) -> Vec<(&'static str, f64)> {
    let names: Vec<&str> = catalog().iter().map(|document| document.name).collect();
    index().search(query, |_| true, 5).into_iter().map(|found| (names[found.document], found.score)).collect()
}

#[test]
fn words_are_split_and_reduced() {
    #[rustfmt::skip]
    let table = [
        ("get_weather-forecast.v", "get weather forecast v"),
        ("getWeather", "get getweather weather getweather"),
        ("HTTPServer s3 oauth2", "http httpserver server httpserver s3 s3 oauth oauth2 oauth2"),
        ("Größe ÉCOLE naïve", "größe école naïve"),
        ("天气 Api", "天 气 api"),
        ("files boxes cities queries movies statuses sizes", "fil box citi queri movi status siz"),
        ("file box city query movie status size address analysis", "fil box citi queri movi status siz address analysis"),
        ("listing created running copied filled adding embedding", "list creat run copi fill add embed"),
        ("list create run copy fill add string need thing", "list creat run copi fill add string need thing"),
        ("  --__..  ", ""),
    ];
    for (text, expected) in table {
        let terms: Vec<String> = words(text).flat_map(Word::into_terms).map(|(term, _)| term).collect();
        assert_eq!(terms.join(" "), expected, "{text}");
    }
}

#[test]
fn the_best_tool_is_first() {
    for (query, first) in [
        ("what's the weather in a city?", "get_weather"),
        ("Please create an issue", "createIssue"),
        ("listing all issues", "list_issues"),
        ("createIssue", "createIssue"),
        ("calc", "calculator"),
        ("run a SQL query against my databases", "query-database"),
        ("remove files", "delete.file"),
        ("天气", "查询天气"),
        ("S3", "s3_upload"),
        ("issue tools of github", "createIssue"),
    ] {
        assert_eq!(found(query).first().map(|(name, _)| *name), Some(first), "{query}: {:?}", found(query));
    }
}

#[test]
fn the_score_tells_good_from_poor() {
    let score =
        |query: &str, name: &str| found(query).iter().find(|(found, _)| *found == name).map(|(_, score)| *score);
    let between = |query: &str, name: &str, least: f64, most: f64| {
        let score = score(query, name).unwrap_or_default();
        assert!((least..=most).contains(&score), "{query} -> {name}: {score}");
    };
    between("get weather", "get_weather", 0.85, 1.0);
    between("calculator", "calculator", 0.85, 1.0);
    between("calc", "calculator", 0.7, 0.9);
    between("current conditions", "get_weather", 0.4, 0.7);
    between("weather", "send_email", 0.2, 0.6);
    between("quantum weather entanglement simulation", "get_weather", 0.1, 0.3);
    between("somebody bought quantum entanglement", "send_email", 0.05, 0.2);
    assert_eq!(found("quantum entanglement"), []);
    assert_eq!(found("?!"), []);
    assert_eq!(found(""), []);
}

#[test]
fn what_may_not_be_seen_leaves_no_trace() {
    let shown = |index: &Index, may_see: fn(usize) -> bool| index.search("weather issue", may_see, 5);
    let without: Vec<Document<'_>> = catalog().into_iter().skip(1).collect();
    let (all, fewer) = (shown(&index(), |document| document > 0), shown(&Index::build(without.into_iter()), |_| true));
    assert!(!all.is_empty());
    for (hidden, absent) in all.iter().zip(&fewer) {
        assert_eq!((hidden.document, &hidden.reasoning), (absent.document + 1, &absent.reasoning));
        assert!((hidden.score - absent.score).abs() < f64::EPSILON, "{hidden:?} {absent:?}");
    }
    assert_eq!(all.len(), fewer.len());
    assert_eq!(index().search("weather", |_| false, 5), []);
}

#[test]
fn reasons_say_what_matched_and_where() {
    let reasoning = |query: &str| index().search(query, |_| true, 1).remove(0).reasoning;
    for (query, expected) in [
        (
            "Get the WEATHER of a city",
            "\"get\" and \"weather\" match the name; \"weather\" matches the description; \"city\" matches a parameter",
        ),
        ("calc", "\"calc\" begins a word of the name; \"calc\" begins a word of the title"),
        (
            "issues on github",
            "\"issues\" matches the name; \"issues\" matches the description; \"github\" matches the server",
        ),
        ("S3", "\"s3\" matches the name"),
    ] {
        assert_eq!(reasoning(query), expected, "{query}");
    }
}

#[test]
fn equal_matches_stay_in_order_and_most_is_kept() {
    let same = || (0..50).map(|_| document("get_time", "Tells the time"));
    let found = Index::build(same()).search("time", |document| document % 2 == 1, 3);
    assert_eq!(found.iter().map(|found| found.document).collect::<Vec<_>>(), [1, 3, 5]);
    assert!(found.windows(2).all(|pair| pair[0].score == pair[1].score));
}

#[test]
fn what_is_too_long_is_cut() {
    let index = index();
    let long = ["weather ".repeat(200_000), "w".repeat(1_000_000), format!("weather {}", "é".repeat(5_000))];
    let many: String = (0..1_000).map(|at| format!("weather{at} calc ")).collect();
    for query in long.iter().chain([&many]) {
        for found in index.search(query, |_| true, 5) {
            assert!(found.score <= 1.0 && found.reasoning.len() < 5_000);
        }
    }
    let endless = "tail ".repeat(WORDS_PER_FIELD_MAX) + "beyond";
    let index = Index::build([document("x", &endless)].into_iter());
    assert_eq!(index.search("beyond", |_| true, 1), []);
    assert_eq!(index.search("tail", |_| true, 1).len(), 1);
    let index = Index::build((0..DOCUMENTS_MAX + 1).map(|_| document("x", "")));
    assert_eq!(index.search("x", |_| true, usize::MAX).len(), DOCUMENTS_MAX);
}

#[test]
fn parameters_are_read_from_anything() {
    let deep = format!(r#"{{"inputSchema":{{"properties":{{"a":{}{}}}}}}}"#, "[".repeat(600), "]".repeat(600));
    #[rustfmt::skip]
    let table: [(&str, &[&str]); 9] = [
        (r#"{"name":"t","inputSchema":{"type":"object","properties":{"city":{"type":"string","description":"A \"place\""},"units":{}}}}"#,
         &["city", "A \"place\"", "units"]),
        (r#"{"inputSchema":{"properties":{"at":{"description":"Where","properties":{"lat":{"description":"North","properties":{"x":{}}}}}}}}"#,
         &["at", "Where", "lat", "North"]),
        (r#"{"inputSchema":{"properties":{"a":true,"b":{"description":7},"c":[1]}}}"#, &["a", "b", "c"]),
        (r#"{"inputSchema":{"properties":{"a":{}, broken"#, &[]),
        (r#"{"inputSchema":[],"properties":{"a":{}}}"#, &[]),
        (&deep, &[]),
        ("7", &[]),
        ("", &[]),
        ("{\"inputSchema\":{\"properties\":{\"\\ud800\":{}}}}", &[""]),
    ];
    for (tool, expected) in table {
        assert_eq!(parameters(tool), expected, "{tool:.80}");
    }
    let many: String = (0..1_000).map(|at| format!(r#""p{at}":{{}},"#)).collect();
    assert_eq!(parameters(&format!(r#"{{"inputSchema":{{"properties":{{{many}"z":1}}}}}}"#)).len(), 256);
}
