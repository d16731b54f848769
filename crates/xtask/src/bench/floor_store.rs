//! The floor's statements: rows of either engine turned into JSON with as little as that takes.

use anyhow::{Context as _, Result, bail};
use rusqlite::Connection;
use rusqlite::types::ValueRef;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use tokio_postgres::NoTls;
use tokio_postgres::types::{ToSql, Type};
use uuid::Uuid;

/// Columns of a port in a short list.
const SHORT_PORT: &str = "id, uuid, address";

/// A store with tables of its own.
pub(super) struct FloorStore {
    engine: Engine,
    insert: String,
}

enum Engine {
    Sqlite { file: PathBuf, idle: Mutex<Vec<Connection>>, writer: Mutex<Connection> },
    Postgres(Pool),
}

/// As many connections as our service has; each statement takes the next.
struct Pool {
    clients: Vec<tokio_postgres::Client>,
    next: std::sync::atomic::AtomicUsize,
    statements: tokio::sync::RwLock<std::collections::HashMap<(usize, String), tokio_postgres::Statement>>,
}

/// A parameter: both kinds that the statements have.
#[derive(Clone, Copy)]
enum Param<'a> {
    Text(&'a str),
    Int(i64),
}

impl FloorStore {
    pub(super) fn sqlite(file: &Path) -> Result<Self> {
        let writer = connect(file)?;
        let columns = {
            let statement = writer.prepare("SELECT * FROM nodes LIMIT 1")?;
            statement.column_names().map(str::to_owned).collect::<Vec<_>>()
        };
        let engine =
            Engine::Sqlite { file: file.to_owned(), idle: Mutex::default(), writer: Mutex::new(writer) };
        Ok(Self { engine, insert: insertion(&columns) })
    }

    pub(super) async fn postgres(url: &str) -> Result<Self> {
        let mut clients = Vec::new();
        for _ in 0..16 {
            let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
            tokio::spawn(connection);
            clients.push(client);
        }
        let client = clients.first().context("there are connections")?;
        client
            .batch_execute(
                "CREATE SCHEMA floor; CREATE TABLE floor.nodes (LIKE public.nodes INCLUDING ALL); \
                 CREATE TABLE floor.ports (LIKE public.ports INCLUDING ALL); \
                 INSERT INTO floor.nodes SELECT * FROM public.nodes; \
                 INSERT INTO floor.ports SELECT * FROM public.ports; \
                 SELECT setval(pg_get_serial_sequence('floor.nodes', 'id'), (SELECT MAX(id) FROM floor.nodes)); \
                 ANALYZE floor.nodes; ANALYZE floor.ports",
            )
            .await?;
        for client in &clients {
            client.batch_execute("SET search_path = floor").await?;
        }
        let statement = clients[0].prepare("SELECT * FROM nodes LIMIT 1").await?;
        let columns: Vec<_> = statement.columns().iter().map(|column| column.name().to_owned()).collect();
        let pool = Pool {
            clients,
            next: std::sync::atomic::AtomicUsize::default(),
            statements: tokio::sync::RwLock::default(),
        };
        Ok(Self { engine: Engine::Postgres(pool), insert: insertion(&columns) })
    }

    /// One node.
    pub(super) async fn node(&self, uuid: &str) -> Result<Vec<u8>> {
        self.rows("SELECT * FROM nodes WHERE uuid = ?1", &[Param::Text(uuid)]).await.map(|page| page.0)
    }

    /// A page of rows after a number, and where the next is: short rows of ports, whole rows of nodes.
    pub(super) async fn page(&self, table: &str, limit: &str, after: &str) -> Result<Vec<u8>> {
        let (limit, after): (i64, i64) = (limit.parse()?, after.parse()?);
        let columns = if table == "ports" { SHORT_PORT } else { "*" };
        let text = format!("SELECT {columns} FROM {table} WHERE id > ?1 ORDER BY id LIMIT ?2");
        let (mut json, count, last) = self.rows(&text, &[Param::Int(after), Param::Int(limit)]).await?;
        if count == limit {
            json.pop();
            json.extend_from_slice(format!(",\"next\":\"http://floor/{table}/{limit}/{last}\"}}").as_bytes());
        }
        Ok(json)
    }

    /// Nodes with a value in a column.
    pub(super) async fn nodes_by(&self, column: &str, value: &str, limit: &str) -> Result<Vec<u8>> {
        if !column.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') {
            bail!("no column");
        }
        let text = format!("SELECT * FROM nodes WHERE {column} = ?1 ORDER BY id LIMIT ?2");
        let limit = Param::Int(limit.parse()?);
        self.rows(&text, &[Param::Text(value), limit]).await.map(|page| page.0)
    }

    /// Ports of a node.
    pub(super) async fn ports_of(&self, uuid: &str) -> Result<Vec<u8>> {
        let text = format!("SELECT {SHORT_PORT} FROM ports WHERE node_uuid = ?1");
        self.rows(&text, &[Param::Text(uuid)]).await.map(|page| page.0)
    }

    /// Changes a node, and answers it.
    pub(super) async fn touch(&self, uuid: &str) -> Result<Vec<u8>> {
        let text = "UPDATE nodes SET revision = revision + 1, extra = '{\"round\":1}' WHERE uuid = ?1";
        self.write(text, uuid).await?;
        self.node(uuid).await
    }

    /// Adds a node, and answers it.
    pub(super) async fn insert(&self) -> Result<Vec<u8>> {
        let uuid = Uuid::new_v4().to_string();
        self.write(&self.insert, &uuid).await?;
        self.node(&uuid).await
    }

    async fn write(&self, text: &str, uuid: &str) -> Result<()> {
        match &self.engine {
            Engine::Sqlite { writer, .. } => {
                let writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
                writer.prepare_cached(text)?.execute([uuid])?;
            }
            Engine::Postgres(pool) => {
                let (client, statement) = pool.statement(text).await?;
                client.execute(&statement, &[&uuid]).await?;
            }
        }
        Ok(())
    }

    /// The rows as JSON, how many there are, and the number of the last.
    async fn rows(&self, text: &str, params: &[Param<'_>]) -> Result<(Vec<u8>, i64, i64)> {
        match &self.engine {
            Engine::Sqlite { file, idle, .. } => {
                let idle_one = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
                let connection = idle_one.map_or_else(|| connect(file), Ok)?;
                let rows = sqlite_rows(&connection, text, params)?;
                idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
                Ok(rows)
            }
            Engine::Postgres(pool) => {
                let (client, statement) = pool.statement(text).await?;
                let params: Vec<&(dyn ToSql + Sync)> = params
                    .iter()
                    .map(|param| match param {
                        Param::Text(text) => text as &(dyn ToSql + Sync),
                        Param::Int(int) => int,
                    })
                    .collect();
                postgres_rows(&client.query(&statement, &params).await?)
            }
        }
    }
}

impl Pool {
    async fn statement(&self, text: &str) -> Result<(&tokio_postgres::Client, tokio_postgres::Statement)> {
        let turn = self.next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let index = turn % self.clients.len();
        let client = self.clients.get(index).context("there are connections")?;
        let key = (index, text.to_owned());
        if let Some(statement) = self.statements.read().await.get(&key) {
            return Ok((client, statement.clone()));
        }
        let statement = client.prepare(&text.replace('?', "$")).await?;
        self.statements.write().await.insert(key, statement.clone());
        Ok((client, statement))
    }
}

fn connect(file: &Path) -> Result<Connection> {
    let connection = Connection::open(file).with_context(|| format!("open {}", file.display()))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "mmap_size", 256 * 1024 * 1024)?;
    Ok(connection)
}

/// A copy of the first node, under another identifier.
fn insertion(columns: &[String]) -> String {
    let (mut names, mut values) = (String::new(), String::new());
    for column in columns.iter().filter(|column| *column != "id") {
        let value = match column.as_str() {
            "uuid" => "?1",
            "name" | "instance_uuid" => "NULL",
            name => name,
        };
        let comma = if names.is_empty() { "" } else { ", " };
        // Writing to a String does not fail.
        let _ = write!(names, "{comma}{column}");
        let _ = write!(values, "{comma}{value}");
    }
    format!("INSERT INTO nodes ({names}) SELECT {values} FROM nodes WHERE id = 1")
}

fn sqlite_rows(connection: &Connection, text: &str, params: &[Param<'_>]) -> Result<(Vec<u8>, i64, i64)> {
    let mut statement = connection.prepare_cached(text)?;
    for (index, param) in (1..).zip(params) {
        match param {
            Param::Text(text) => statement.raw_bind_parameter(index, text)?,
            Param::Int(int) => statement.raw_bind_parameter(index, int)?,
        }
    }
    let keys: Vec<String> = statement.column_names().map(|name| format!("\"{name}\":")).collect();
    let mut page = Page::default();
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next()? {
        page.begin_row();
        for (index, key) in keys.iter().enumerate() {
            match row.get_ref(index)? {
                ValueRef::Integer(int) => page.int(index, key, int),
                ValueRef::Text(text) => page.text(index, key, text),
                _ => page.raw(index, key, b"null"),
            }
        }
    }
    Ok(page.end())
}

fn postgres_rows(rows: &[tokio_postgres::Row]) -> Result<(Vec<u8>, i64, i64)> {
    let mut page = Page::default();
    let columns = rows.first().map_or(&[][..], tokio_postgres::Row::columns);
    let keys: Vec<String> = columns.iter().map(|column| format!("\"{}\":", column.name())).collect();
    for row in rows {
        page.begin_row();
        for (index, key) in keys.iter().enumerate() {
            let int = match *columns[index].type_() {
                Type::INT2 => row.try_get::<_, Option<i16>>(index)?.map(i64::from),
                Type::INT8 => row.try_get::<_, Option<i64>>(index)?,
                _ => {
                    match row.try_get::<_, Option<&str>>(index)? {
                        Some(text) => page.text(index, key, text.as_bytes()),
                        None => page.raw(index, key, b"null"),
                    }
                    continue;
                }
            };
            match int {
                Some(int) => page.int(index, key, int),
                None => page.raw(index, key, b"null"),
            }
        }
    }
    Ok(page.end())
}

/// Rows as JSON.
#[derive(Default)]
struct Page {
    json: Vec<u8>,
    count: i64,
    last: i64,
}

impl Page {
    fn begin_row(&mut self) {
        self.json.extend_from_slice(if self.count == 0 { b"{\"rows\":[{" } else { b"},{" });
        self.count += 1;
    }

    fn raw(&mut self, index: usize, key: &str, json: &[u8]) {
        if index > 0 {
            self.json.push(b',');
        }
        self.json.extend_from_slice(key.as_bytes());
        self.json.extend_from_slice(json);
    }

    fn int(&mut self, index: usize, key: &str, int: i64) {
        if index == 0 {
            self.last = int;
        }
        self.raw(index, key, b"");
        // Writing to a vector does not fail.
        let _ = std::io::Write::write_fmt(&mut self.json, format_args!("{int}"));
    }

    /// JSON is copied, other text put between quotes: the floor's has nothing to escape.
    fn text(&mut self, index: usize, key: &str, text: &[u8]) {
        if matches!(text.first(), Some(b'{' | b'[')) {
            return self.raw(index, key, text);
        }
        self.raw(index, key, b"\"");
        self.json.extend_from_slice(text);
        self.json.push(b'"');
    }

    fn end(mut self) -> (Vec<u8>, i64, i64) {
        self.json.extend_from_slice(if self.count == 0 { b"{\"rows\":[]}" } else { b"}]}" });
        (self.json, self.count, self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_json() {
        let mut page = Page::default();
        for (id, info) in [(1, "{\"a\":1}"), (2, "plain")] {
            page.begin_row();
            page.int(0, "\"id\":", id);
            page.text(1, "\"info\":", info.as_bytes());
            page.raw(2, "\"none\":", b"null");
        }
        let (json, count, last) = page.end();
        let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
        assert_eq!(json["rows"][0]["info"]["a"], 1);
        assert_eq!(json["rows"][1]["info"], "plain");
        assert_eq!((count, last), (2, 2));
        assert_eq!(Page::default().end().0, b"{\"rows\":[]}");
    }

    #[test]
    fn a_copied_row_has_names_of_its_own() {
        let columns = ["id", "revision", "uuid", "name"].map(str::to_owned);
        assert_eq!(
            insertion(&columns),
            "INSERT INTO nodes (revision, uuid, name) SELECT revision, ?1, NULL FROM nodes WHERE id = 1"
        );
    }
}
