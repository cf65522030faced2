//! The connection to the server: where it is, and TLS with it.

use std::future::poll_fn;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use openssl::ssl::{SslConnector, SslMethod, SslVerifyMode};
use postgres_openssl::MakeTlsConnector;
use tokio::sync::Notify;
use tokio_postgres::config::{SslMode as Tls, TargetSessionAttrs};
use tokio_postgres::{AsyncMessage, Client, Config, Connection, NoTls};
use tokio_util::sync::CancellationToken;

use crate::config::model::{PostgreSql, SslMode};

/// How long one host may take to answer, and how long it may be silent on a connection before that is broken.
const PATIENCE: Duration = Duration::from_secs(3);

/// What the server sees in its list of connections.
const APPLICATION: &str = "sdgroup";

/// What others tell on the channel to which a connection listens.
#[derive(Debug, Default)]
pub(super) struct Notices {
    told: Notify,
    /// The server's number for this connection, which hears itself, too.
    own: OnceLock<i32>,
}

impl Notices {
    /// Leaves out what the connection itself tells, for which the server has the number `own`.
    pub(super) fn leave_out(&self, own: i32) {
        // It does not change.
        let _ = self.own.set(own);
    }

    /// Returns when there is one, or was since the last time.
    pub(super) async fn next(&self) {
        self.told.notified().await;
    }
}

/// How the database is called in errors: what an operator needs to find it, and no password.
pub(super) fn place(options: &PostgreSql) -> String {
    let hosts: Vec<_> = options
        .hosts
        .iter()
        .map(|host| format!("{}:{}", host.host, host.port))
        .collect();
    format!("the database {} on {}", options.name, hosts.join(", "))
}

/// Connects to the host that takes writes. `lost` is cancelled when the connection is, and ends it when it is
/// cancelled; `notices` gets the notifications.
pub(super) async fn connect(
    options: &PostgreSql,
    lost: &CancellationToken,
    notices: &Arc<Notices>,
) -> Result<Client, String> {
    let mut config = Config::new();
    for host in &options.hosts {
        config.host(&host.host).port(host.port);
    }
    config
        .dbname(&options.name)
        .user(&options.user)
        .application_name(APPLICATION)
        .target_session_attrs(TargetSessionAttrs::ReadWrite)
        .connect_timeout(PATIENCE)
        .tcp_user_timeout(PATIENCE)
        .ssl_mode(match options.ssl_mode {
            SslMode::Disable => Tls::Disable,
            SslMode::Prefer => Tls::Prefer,
            SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => Tls::Require,
        });
    if let Some(password) = &options.password {
        config.password(password.reveal());
    }
    // A host that takes a connection and says nothing is passed over by nobody but us.
    let hosts = u32::try_from(options.hosts.len()).unwrap_or(u32::MAX);
    let within = PATIENCE.saturating_mul(hosts).saturating_add(PATIENCE);
    let connecting = async {
        if options.ssl_mode == SslMode::Disable {
            let (client, connection) = config.connect(NoTls).await.map_err(|error| told(&error))?;
            tokio::spawn(keep(connection, lost.clone(), Arc::clone(notices)));
            return Ok(client);
        }
        let connector = tls(options).map_err(|error| format!("TLS cannot be used: {error}"))?;
        let (client, connection) = config.connect(connector).await.map_err(|error| told(&error))?;
        tokio::spawn(keep(connection, lost.clone(), Arc::clone(notices)));
        Ok(client)
    };
    let silent = |_| format!("no answer within {} s", within.as_secs());
    tokio::time::timeout(within, connecting).await.map_err(silent)?
}

async fn keep<S, T>(mut connection: Connection<S, T>, lost: CancellationToken, notices: Arc<Notices>)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let _lost = lost.clone().drop_guard();
    let kept = async {
        while let Some(Ok(message)) = poll_fn(|cx| connection.poll_message(cx)).await {
            if let AsyncMessage::Notification(told) = message
                && notices.own.get() != Some(&told.process_id())
            {
                notices.told.notify_one();
            }
        }
    };
    tokio::select! {
        () = kept => {}
        () = lost.cancelled() => {}
    }
}

fn tls(options: &PostgreSql) -> Result<MakeTlsConnector, openssl::error::ErrorStack> {
    let mut builder = SslConnector::builder(SslMethod::tls_client())?;
    match options.ssl_mode {
        SslMode::VerifyCa | SslMode::VerifyFull => {
            if let Some(ca) = &options.ssl_ca {
                builder.set_ca_file(ca)?;
            }
        }
        SslMode::Disable | SslMode::Prefer | SslMode::Require => builder.set_verify(SslVerifyMode::NONE),
    }
    let mut connector = MakeTlsConnector::new(builder.build());
    if options.ssl_mode != SslMode::VerifyFull {
        connector.set_callback(|configuration, _| {
            configuration.set_verify_hostname(false);
            Ok(())
        });
    }
    Ok(connector)
}

/// What went wrong, with its causes: the outermost alone says "error connecting to server".
pub(super) fn told(error: &tokio_postgres::Error) -> String {
    if let Some(answer) = error.as_db_error() {
        return answer.message().to_owned();
    }
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
