//! What a client asks for: the head of one HTTP request, of bounded length.

use super::response::Status;

/// Longest head that is read; what `curl` sends is shorter than a hundred bytes.
pub(super) const LONGEST: usize = 4096;
/// Most header lines.
const MOST_HEADERS: usize = 32;

/// What can be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resource {
    /// The counters as Prometheus text.
    Metrics,
    /// The counters as JSON.
    Snapshot,
}

/// What has been received so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// Not all of it.
    Incomplete,
    /// A request for this.
    Get(Resource),
    /// The same without its body.
    Head(Resource),
    /// One that is not answered.
    Refused(Status),
}

impl Request {
    /// Reads the head in `bytes`; headers and a body mean nothing here.
    pub(super) fn parse(bytes: &[u8]) -> Self {
        let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
        let mut head = httparse::Request::new(&mut headers);
        match head.parse(bytes) {
            Ok(httparse::Status::Partial) if bytes.len() < LONGEST => return Self::Incomplete,
            Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => {
                return Self::Refused(Status::TooLong);
            }
            Err(_) => return Self::Refused(Status::BadRequest),
            Ok(httparse::Status::Complete(_)) => {}
        }
        let path = head.path.unwrap_or_default();
        let path = path.split_once('?').map_or(path, |(path, _)| path);
        let resource = match path {
            "/metrics" => Resource::Metrics,
            "/snapshot" => Resource::Snapshot,
            _ => return Self::Refused(Status::NotFound),
        };
        match head.method {
            Some("GET") => Self::Get(resource),
            Some("HEAD") => Self::Head(resource),
            _ => Self::Refused(Status::MethodNotAllowed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked() {
        for (text, request) in [
            (
                "GET /metrics HTTP/1.1\r\nHost: vm\r\n\r\n",
                Request::Get(Resource::Metrics),
            ),
            (
                "GET /snapshot HTTP/1.0\r\n\r\n",
                Request::Get(Resource::Snapshot),
            ),
            (
                "GET /metrics?name=x HTTP/1.0\r\n\r\n",
                Request::Get(Resource::Metrics),
            ),
            (
                "HEAD /metrics HTTP/1.0\r\n\r\n",
                Request::Head(Resource::Metrics),
            ),
            ("GET / HTTP/1.0\r\n\r\n", Request::Refused(Status::NotFound)),
            (
                "POST /metrics HTTP/1.0\r\n\r\n",
                Request::Refused(Status::MethodNotAllowed),
            ),
            (
                "\0\x01\x02nonsense\r\n\r\n",
                Request::Refused(Status::BadRequest),
            ),
            ("GET /metrics HTTP/1.1\r\nHost:", Request::Incomplete),
            ("", Request::Incomplete),
        ] {
            assert_eq!(Request::parse(text.as_bytes()), request, "{text:?}");
        }
    }

    #[test]
    fn a_request_without_end_is_refused() {
        let long = format!("GET /{} HTTP/1.0\r\n\r\n", "a".repeat(LONGEST));
        let head = &long.as_bytes()[..LONGEST];
        assert_eq!(Request::parse(head), Request::Refused(Status::TooLong));
        let many = "A: b\r\n".repeat(MOST_HEADERS + 1);
        let text = format!("GET /metrics HTTP/1.0\r\n{many}\r\n");
        assert_eq!(
            Request::parse(text.as_bytes()),
            Request::Refused(Status::TooLong)
        );
    }
}
