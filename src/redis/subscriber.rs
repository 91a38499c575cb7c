//! What others publish: a hint that is heard soon, or not at all. Whoever relies on it is told when
//! something may have been missed.

use super::Wire;
use futures_util::StreamExt;
use redis::Msg;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

#[derive(Clone, Debug)]
pub enum Heard {
    /// From now on everything is heard; what was said before may have been missed.
    Begun,
    Message {
        channel: Arc<str>,
        text: Arc<str>,
    },
}

/// How long it may take until somebody is listened to.
const BEGIN_LAST: Duration = Duration::from_secs(3);

const AGAIN: Duration = Duration::from_millis(250);

/// How often it is made sure that somebody is there who could say something.
const PING_EVERY: Duration = Duration::from_secs(5);
const PING_LAST: Duration = Duration::from_secs(3);

pub(super) async fn listen(wire: Arc<Wire>, channels: Vec<&'static str>) {
    let (mut up, mut said) = (wire.watch(), None);
    loop {
        // The sender lives as long as the wire.
        let _ = up.wait_for(|up| *up).await;
        let why = hear(&wire, &channels).await;
        wire.listens.store(false, Ordering::Relaxed);
        if said.as_ref() != Some(&why) {
            tracing::warn!(%why, "what replicas say to each other is not heard");
            said = Some(why);
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Hears until that ends; gives why.
async fn hear(wire: &Wire, channels: &[&'static str]) -> String {
    let listening = async {
        let (mut asking, told) = wire.dialler.dial_to_hear().await?.split();
        for channel in channels {
            asking.subscribe(*channel).await?;
        }
        Ok::<_, redis::RedisError>((asking, told))
    };
    let (mut asking, mut told) = match tokio::time::timeout(BEGIN_LAST, listening).await {
        Ok(Ok(listening)) => listening,
        Ok(Err(why)) => return why.to_string(),
        Err(_) => return format!("not within {BEGIN_LAST:?}"),
    };
    wire.listens.store(true, Ordering::Relaxed);
    // Nobody may be listening yet, or any more.
    let _ = wire.heard.send(Heard::Begun);
    let mut up = wire.watch();
    up.mark_unchanged();
    loop {
        tokio::select! {
            message = told.next() => match message {
                Some(message) => drop(wire.heard.send(heard(&message))),
                None => return "the connection was lost".to_owned(),
            },
            _ = up.changed() => return "Redis was gone".to_owned(),
            () = tokio::time::sleep(PING_EVERY) => {
                match tokio::time::timeout(PING_LAST, asking.ping::<redis::Value>()).await {
                    Ok(Ok(_)) => {}
                    Ok(Err(why)) => return why.to_string(),
                    Err(_) => return format!("no answer within {PING_LAST:?}"),
                }
            }
        }
    }
}

fn heard(message: &Msg) -> Heard {
    let text = String::from_utf8_lossy(message.get_payload_bytes()).into();
    Heard::Message { channel: message.get_channel_name().into(), text }
}
