//! Making connections: to one node, to the primary that Sentinels know, to a cluster.

use crate::conf::{Redis, Shared, Topology};
use redis::aio::{ConnectionLike, MultiplexedConnection, PubSub};
use redis::cluster::{ClusterClient, ClusterClientBuilder};
use redis::cluster_async::ClusterConnection;
use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, Pipeline,
    RedisConnectionInfo, RedisFuture, RedisResult, TlsCertificates, TlsMode, Value,
};
use std::time::Duration;

/// A connection that any number of tasks may ask at the same time.
#[derive(Clone)]
pub enum Link {
    Node(MultiplexedConnection),
    Cluster(ClusterConnection),
}

pub(super) struct Dialler {
    target: Target,
    /// Who tells what is published: with a cluster, any of its nodes.
    nodes: Vec<Client>,
}

enum Target {
    Node(Client),
    Sentinel(tokio::sync::Mutex<SentinelClient>),
    Cluster(ClusterClient),
}

const CONNECT_LAST: Duration = Duration::from_secs(2);

/// Whoever asks says how long it may take, so this is only what nothing may exceed.
const ANSWER_LAST: Duration = Duration::from_secs(30);

impl Dialler {
    pub(super) fn new(shared: &Shared) -> anyhow::Result<Dialler> {
        let certificates = match &shared.ca {
            Some(file) => Some(TlsCertificates { client_tls: None, root_cert: Some(std::fs::read(file)?) }),
            None => None,
        };
        let redis = &shared.redis;
        let (target, nodes) = match &redis.topology {
            Topology::Node(node) => (Target::Node(client(redis, node, certificates)?), Vec::new()),
            Topology::Sentinel { sentinels, primary } => {
                let sentinels = sentinels.iter().map(|node| address(redis, node));
                let built = sentinel(redis, sentinels.collect(), primary, certificates)?;
                (Target::Sentinel(tokio::sync::Mutex::new(built)), Vec::new())
            }
            Topology::Cluster(nodes) => {
                let clients: RedisResult<Vec<Client>> =
                    nodes.iter().map(|node| client(redis, node, certificates.clone())).collect();
                (Target::Cluster(cluster(redis, nodes, certificates)?), clients?)
            }
        };
        Ok(Dialler { target, nodes })
    }

    pub(super) async fn dial(&self) -> RedisResult<Link> {
        Ok(match &self.target {
            Target::Node(client) => Link::Node(client.get_multiplexed_async_connection_with_config(&settings()).await?),
            Target::Sentinel(sentinel) => {
                Link::Node(sentinel.lock().await.get_async_connection_with_config(&settings()).await?)
            }
            Target::Cluster(cluster) => Link::Cluster(cluster.get_async_connection().await?),
        })
    }

    pub(super) async fn dial_to_hear(&self) -> RedisResult<PubSub> {
        match &self.target {
            Target::Node(client) => client.get_async_pubsub().await,
            Target::Sentinel(sentinel) => {
                let primary = sentinel.lock().await.async_get_client().await?;
                primary.get_async_pubsub().await
            }
            Target::Cluster(_) => {
                let mut failed = None;
                for node in &self.nodes {
                    match node.get_async_pubsub().await {
                        Ok(listening) => return Ok(listening),
                        Err(why) => failed = Some(why),
                    }
                }
                let none = || redis::RedisError::from((redis::ErrorKind::Client, "the cluster has no nodes"));
                Err(failed.unwrap_or_else(none))
            }
        }
    }
}

impl ConnectionLike for Link {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Link::Node(connection) => connection.req_packed_command(command),
            Link::Cluster(connection) => connection.req_packed_command(command),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        commands: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Link::Node(connection) => connection.req_packed_commands(commands, offset, count),
            Link::Cluster(connection) => connection.req_packed_commands(commands, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Link::Node(connection) => connection.get_db(),
            Link::Cluster(connection) => connection.get_db(),
        }
    }
}

impl Link {
    /// Whether somebody is there who takes changes; else why not.
    pub(super) async fn check(&self) -> Result<(), String> {
        let answered: RedisResult<Value> = redis::cmd("PING").query_async(&mut self.clone()).await;
        // An ACL may forbid to ping.
        if let Some(why) = answered.err().filter(redis::RedisError::is_io_error) {
            return Err(why.to_string());
        }
        if self.is_replica().await { Err("it is a replica, and takes no changes".to_owned()) } else { Ok(()) }
    }

    /// A primary that has become a replica answers, and is of no use. An ACL may forbid to ask; then the first
    /// change tells.
    async fn is_replica(&self) -> bool {
        let Link::Node(mut connection) = self.clone() else { return false };
        let role: RedisResult<Vec<Value>> = redis::cmd("ROLE").query_async(&mut connection).await;
        let role = role.ok().and_then(|role| role.into_iter().next());
        matches!(role, Some(Value::BulkString(name)) if name == b"slave")
    }
}

fn settings() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECT_LAST)).set_response_timeout(Some(ANSWER_LAST))
}

fn address(redis: &Redis, (host, port): &(String, u16)) -> ConnectionAddr {
    let (host, port) = (host.clone(), *port);
    match redis.is_tls {
        true => ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None },
        false => ConnectionAddr::Tcp(host, port),
    }
}

fn place(redis: &Redis, node: &(String, u16)) -> RedisResult<ConnectionInfo> {
    let mut settings = RedisConnectionInfo::default().set_db(redis.database);
    if let Some(user) = &redis.user {
        settings = settings.set_username(user);
    }
    if let Some(password) = &redis.password {
        settings = settings.set_password(password);
    }
    Ok(address(redis, node).into_connection_info()?.set_redis_settings(settings))
}

fn client(redis: &Redis, node: &(String, u16), certificates: Option<TlsCertificates>) -> RedisResult<Client> {
    let place = place(redis, node)?;
    match certificates.filter(|_| redis.is_tls) {
        Some(certificates) => Client::build_with_tls(place, certificates),
        None => Client::open(place),
    }
}

/// The same user is known to the Sentinels only if there is none: they have users of their own.
fn sentinel(
    redis: &Redis,
    sentinels: Vec<ConnectionAddr>,
    primary: &str,
    certificates: Option<TlsCertificates>,
) -> RedisResult<SentinelClient> {
    let mut built = SentinelClientBuilder::new(sentinels, primary, SentinelServerType::Master)?
        .set_client_to_redis_db(redis.database);
    if redis.is_tls {
        built = built.set_client_to_redis_tls_mode(TlsMode::Secure).set_client_to_sentinel_tls_mode(TlsMode::Secure);
        if let Some(certificates) = certificates {
            built = built
                .set_client_to_redis_certificates(certificates.clone())
                .set_client_to_sentinel_certificates(certificates);
        }
    }
    if let Some(user) = &redis.user {
        built = built.set_client_to_redis_username(user);
    }
    if let Some(password) = &redis.password {
        built = built.set_client_to_redis_password(password);
    }
    built.build()
}

fn cluster(
    redis: &Redis,
    nodes: &[(String, u16)],
    certificates: Option<TlsCertificates>,
) -> RedisResult<ClusterClient> {
    let nodes: RedisResult<Vec<ConnectionInfo>> = nodes.iter().map(|node| place(redis, node)).collect();
    let mut built = ClusterClientBuilder::new(nodes?).connection_timeout(CONNECT_LAST).response_timeout(ANSWER_LAST);
    if redis.is_tls {
        built = built.tls(TlsMode::Secure);
        if let Some(certificates) = certificates {
            built = built.certs(certificates);
        }
    }
    built.build()
}
