//! A proxy that does nothing but forward, of hyper on both sides: what the tap could cost at best without
//! leaving hyper. Two threads, idle connections in a stack. It reports no errors, bounds nothing and looks
//! at nothing.

use std::cell::RefCell;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::rc::Rc;
use std::thread;

use anyhow::Context as _;
use hyper::body::Incoming;
use hyper::client::conn::http1 as client;
use hyper::server::conn::http1 as server;
use hyper::service::service_fn;
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{LocalSet, spawn_local};

const THREADS: usize = 2;

type Idle = Rc<RefCell<Vec<client::SendRequest<Incoming>>>>;

/// `--listen A --upstream URL`, until it is ended.
pub(crate) fn run(args: &[String]) -> anyhow::Result<()> {
    let after = |name: &str| {
        let at = args.iter().position(|arg| arg == name);
        at.and_then(|at| args.get(at + 1)).with_context(|| name.to_owned())
    };
    let upstream: Uri = after("--upstream")?.parse()?;
    let upstream: SocketAddr = upstream.authority().context("an authority")?.as_str().parse()?;
    let listener = StdListener::bind(after("--listen")?)?;
    listener.set_nonblocking(true)?;
    writeln!(std::io::stderr(), "listening on http://{}/", listener.local_addr()?)?;
    let threads = (0..THREADS).map(|_| {
        let listener = listener.try_clone()?;
        Ok(thread::spawn(move || serve(listener, upstream)))
    });
    let threads: Vec<_> = threads.collect::<anyhow::Result<_>>()?;
    threads.into_iter().try_for_each(|thread| thread.join().expect("a thread of the bench"))
}

fn serve(listener: StdListener, upstream: SocketAddr) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async move {
        let (listener, idle) = (TcpListener::from_std(listener)?, Idle::default());
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let idle = Rc::clone(&idle);
            let service = service_fn(move |request| forward(Rc::clone(&idle), upstream, request));
            spawn_local(async move {
                server::Builder::new().serve_connection(TokioIo::new(stream), service).await.ok();
            });
        }
    })
}

async fn forward(
    idle: Idle,
    upstream: SocketAddr,
    mut request: Request<Incoming>,
) -> anyhow::Result<hyper::Response<Incoming>> {
    let mut sender = loop {
        let last = idle.borrow_mut().pop();
        match last {
            Some(sender) if sender.is_ready() => break sender,
            Some(_) => {}
            None => break connect(upstream).await?,
        }
    };
    *request.uri_mut() = request.uri().path_and_query().cloned().map(Uri::from).unwrap_or_default();
    let response = sender.send_request(request).await?;
    // Before its body has come: whoever takes it asks whether it is ready.
    idle.borrow_mut().push(sender);
    Ok(response)
}

async fn connect(upstream: SocketAddr) -> anyhow::Result<client::SendRequest<Incoming>> {
    let stream = TcpStream::connect(upstream).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = client::handshake(TokioIo::new(stream)).await?;
    spawn_local(async move { connection.await.ok() });
    Ok(sender)
}
