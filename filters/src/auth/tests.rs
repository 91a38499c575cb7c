use super::*;

const SECRET: &str = "tb_0123456789abcdefghijklmnopqrstuv";

fn ring() -> Keyring {
    Keyring::new(
        &[KeyRecord {
            id: "app".into(),
            digest: digest(SECRET.as_bytes()),
            role: Role::User,
            grant: Grant::Every,
            groups: Groups::Advisory,
        }],
        Groups::Advisory,
    )
}

fn headers(values: &[&str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(AUTHORIZATION, value.parse().unwrap());
    }
    headers
}

#[test]
fn the_right_key_is_its_record() {
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let principal = ring().authenticate(&headers(&[&format!("{scheme} {SECRET}")])).unwrap();
        assert_eq!(principal.id(), "app");
    }
}

#[test]
fn everything_else_is_refused() {
    let missing = [vec![], vec!["Bearer"], vec!["Bearer "], vec!["Basic dTpw"], vec!["Bearer a", "Bearer b"]];
    for values in missing {
        let verdict = ring().authenticate(&headers(&values));
        assert!(matches!(verdict, Err(Rejection::MissingKey)), "{values:?} gave {verdict:?}");
    }
    let cut = &SECRET[..SECRET.len() - 1];
    for token in ["x", cut, &SECRET.to_uppercase(), &format!("{SECRET}=")] {
        let verdict = ring().authenticate(&headers(&[&format!("Bearer {token}")]));
        assert!(matches!(verdict, Err(Rejection::UnknownKey)), "{token} gave {verdict:?}");
    }
}
