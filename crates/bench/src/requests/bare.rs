//! The limit: actix, a connection, the queries one after the other, and nothing else; beside it the same in the program's
//! flights, and of what writes the writes alone.

mod reading;
mod sql;
mod writing;

use super::super::children::free_port;
use super::super::database::connect;
use actix_web::dev::ServerHandle;
use actix_web::web::Data;
use actix_web::{App, HttpResponse, HttpServer, error, web};
use anyhow::Result;
use secrecy::SecretString;
use sql::{ALL, SUMS};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Semaphore;
use tokio_postgres::{Client, Statement};

/// As many as the program's own pool has.
const CONNECTIONS: usize = 10;

struct Connection {
    client: Client,
    statements: HashMap<&'static str, Statement>,
}

/// The server of the bare handlers.
pub(crate) struct Bare {
    pub(crate) port: u16,
    handle: ServerHandle,
}

impl Bare {
    pub(crate) async fn start(url: &SecretString) -> Result<Self> {
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            let client = connect(url).await?;
            let sums: String = client.query_one(SUMS, &[]).await?.get(0);
            let mut statements = HashMap::new();
            for sql in ALL {
                statements.insert(sql, client.prepare(&sql.replace("{sums}", &sums)).await?);
            }
            connections.push(Connection { client, statements });
        }
        let pool = Data::new(Pool::of(connections));
        let port = free_port()?;
        let app = move || {
            App::new()
                .app_data(pool.clone())
                .route("/get/{id}", web::get().to(reading::get))
                .route("/get-in-flights/{id}", web::get().to(reading::get_in_one_flight))
                .route("/list", web::get().to(reading::list))
                .route("/create", web::post().to(writing::create))
                .route("/create-in-flights", web::post().to(writing::create_in_flights))
                .route("/create-alone/{id}", web::post().to(writing::create_alone))
                .route("/launch/{id}", web::post().to(writing::launch))
                .route("/launch-in-flights/{id}", web::post().to(writing::launch_in_flights))
                .route("/launch-alone/{id}", web::post().to(writing::launch_alone))
        };
        let threads = std::thread::available_parallelism().map_or(2, usize::from);
        let server = HttpServer::new(app).workers(threads).disable_signals().bind(("127.0.0.1", port))?.run();
        let handle = server.handle();
        tokio::spawn(server);
        Ok(Self { port, handle })
    }

    pub(crate) async fn stop(self) {
        self.handle.stop(false).await;
    }
}

/// Whoever comes gets any connection that is free, as in the program, or waits for the first that is given back.
struct Pool {
    free: Semaphore,
    connections: Mutex<Vec<Connection>>,
}

impl Pool {
    fn of(connections: Vec<Connection>) -> Self {
        Self { free: Semaphore::new(connections.len()), connections: Mutex::new(connections) }
    }

    /// Does `work` on a connection.
    async fn with<T>(&self, work: impl AsyncFnOnce(&Connection) -> Outcome<T>) -> actix_web::Result<T> {
        let _permit = self.free.acquire().await.map_err(error::ErrorServiceUnavailable)?;
        let connection = self.connections().pop().ok_or_else(|| error::ErrorServiceUnavailable("none is free"))?;
        let outcome = work(&connection).await;
        self.connections().push(connection);
        outcome.map_err(error::ErrorInternalServerError)
    }

    fn connections(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connection {
    /// One of [`ALL`].
    fn statement(&self, sql: &str) -> &Statement {
        &self.statements[sql]
    }
}

type Outcome<T> = Result<T, tokio_postgres::Error>;
type Answer = actix_web::Result<HttpResponse>;
