//! The tools that a stub announces: those that it has, and as many more as were asked for.

const OWN: [(&str, &str); 3] = [
    ("echo", "Returns the nonce."),
    ("quiet", "Reports progress once, then is silent."),
    ("stream", "Reports progress ten times, then returns the nonce."),
];

/// The result of `tools/list` with `count` tools, and never fewer than there are.
pub fn list(count: usize) -> String {
    let own = OWN.map(|(name, description)| (name.to_owned(), description.to_owned()));
    let more = (OWN.len()..count).map(|number| {
        (format!("tool_{number:05}"), format!("One of many: number {number}, which nobody calls but everybody sees."))
    });
    let tools: Vec<String> = own.into_iter().chain(more).map(|(name, description)| tool(&name, &description)).collect();
    format!(r#"{{"resultType":"complete","ttlMs":3600000,"cacheScope":"public","tools":[{}]}}"#, tools.join(","))
}

fn tool(name: &str, description: &str) -> String {
    format!(
        r#"{{"name":"{name}","description":"{description}","inputSchema":{{"type":"object","properties":{{"nonce":{{"type":"string"}},"text":{{"type":"string"}}}}}}}}"#
    )
}

#[cfg(test)]
mod tests {
    use super::list;

    #[test]
    fn announces_as_many_as_were_asked_for() {
        for (asked, announced) in [(0, 3), (3, 3), (500, 500)] {
            let list: serde_json::Value = serde_json::from_str(&list(asked)).expect("it is JSON");
            let tools = list["tools"].as_array().expect("tools are a list");
            assert_eq!(tools.len(), announced);
            assert_eq!(tools[0]["name"], "echo");
        }
    }
}
