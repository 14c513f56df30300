//! A closed loop of identical HTTP/1.1 requests over keep-alive connections.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The bytes of one call.
pub(crate) fn request(body: &str) -> Vec<u8> {
    format!(
        "POST /docs/mcp HTTP/1.1\r\nhost: mcp.example.com\r\nauthorization: Bearer bench-key\r\n\
         content-type: application/json\r\naccept: application/json, text/event-stream\r\n\
         mcp-protocol-version: 2026-07-28\r\nmcp-method: tools/call\r\nmcp-name: search\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Sends `count` requests in all and returns the last answer.
pub(crate) async fn run(to: SocketAddr, request: &[u8], connections: usize, count: usize) -> String {
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..connections {
        let request = request.to_vec();
        tasks.spawn(async move { connection(to, &request, count.div_ceil(connections)).await });
    }
    let mut last = String::new();
    while let Some(answer) = tasks.join_next().await {
        last = answer
            .expect("no task panics")
            .expect("every request is answered");
    }
    last
}

async fn connection(to: SocketAddr, request: &[u8], count: usize) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(to).await?;
    stream.set_nodelay(true)?;
    let mut answer = Vec::with_capacity(4096);
    for _ in 0..count {
        stream.write_all(request).await?;
        answer.clear();
        while !is_complete(&answer) {
            if stream.read_buf(&mut answer).await? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn is_complete(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
    assert!(head.starts_with("HTTP/1.1 200") && length.is_some(), "{text}");
    length.is_some_and(|length| body.len() >= length)
}
