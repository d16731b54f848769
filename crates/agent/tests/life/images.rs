//! An image server with a weak constitution: it cuts connections, forgets ranges, changes its mind, goes away.

use std::sync::{Arc, Mutex};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Notify,
};

/// What happens on one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    /// All is sent.
    Well,
    /// The connection is cut after so many bytes of the body.
    Cut(usize),
    /// An error status.
    Status(u16),
    /// Sends so many bytes, then waits until told to go on.
    Hold(usize),
    /// Another image under the same URL.
    Changed,
}

#[derive(Clone)]
pub(crate) struct Images {
    pub(crate) url: String,
    /// Request heads, as they came.
    pub(crate) requests: Arc<Mutex<Vec<String>>>,
    pub(crate) release: Arc<Notify>,
    content: Arc<Vec<u8>>,
    ranges: bool,
    moods: Arc<Mutex<Vec<Mood>>>,
}

impl Images {
    /// Serves `content`; each connection takes the next mood, and the last one stays.
    pub(crate) async fn start(content: Vec<u8>, ranges: bool, moods: &[Mood]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let images = Self {
            url: format!("http://{}/images/disk.raw", listener.local_addr().unwrap()),
            requests: Arc::default(),
            release: Arc::default(),
            content: Arc::new(content),
            ranges,
            moods: Arc::new(Mutex::new(moods.to_vec())),
        };
        let server = images.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let server = server.clone();
                tokio::spawn(async move { server.serve(socket).await });
            }
        });
        images
    }

    fn mood(&self) -> Mood {
        let mut moods = self.moods.lock().unwrap();
        if moods.len() > 1 { moods.remove(0) } else { moods[0] }
    }

    async fn serve(&self, mut socket: TcpStream) -> std::io::Result<()> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(socket.read_u8().await?);
        }
        let head = String::from_utf8(head).unwrap();
        self.requests.lock().unwrap().push(head.clone());
        let mood = self.mood();
        if let Mood::Status(status) = mood {
            let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n");
            return socket.write_all(answer.as_bytes()).await;
        }
        let range = head
            .lines()
            .find_map(|line| line.to_ascii_lowercase().strip_prefix("range: bytes=").map(str::to_owned));
        let bounds = range.filter(|_| self.ranges).map(|range| {
            let (start, end) = range.split_once('-').unwrap();
            (start.parse::<usize>().unwrap(), end.parse::<usize>().map_or(self.content.len(), |end| end + 1))
        });
        let etag = if mood == Mood::Changed { "\"two\"" } else { "\"one\"" };
        // A changed image is sent whole in spite of the range, as If-Range asks for.
        let bounds = bounds.filter(|_| mood != Mood::Changed);
        let (start, end) = bounds.unwrap_or((0, self.content.len()));
        let body = &self.content[start..end.min(self.content.len())];
        let first = match bounds {
            None => "HTTP/1.1 200 OK\r\n".to_owned(),
            Some(_) => format!(
                "HTTP/1.1 206 Partial Content\r\ncontent-range: bytes {start}-{}/{}\r\n",
                start + body.len() - 1,
                self.content.len()
            ),
        };
        let answer = format!("{first}etag: {etag}\r\ncontent-length: {}\r\n\r\n", body.len());
        socket.write_all(answer.as_bytes()).await?;
        match mood {
            Mood::Cut(length) => socket.write_all(&body[..length.min(body.len())]).await,
            Mood::Hold(length) => {
                socket.write_all(&body[..length]).await?;
                self.release.notified().await;
                socket.write_all(&body[length..]).await
            }
            _ => socket.write_all(body).await,
        }
    }
}
