//! The probes that ask over the network: each is one question, and its outcome within its time, in bounded memory,
//! whatever is answered. They run on the loop's runtime as the status server does, and never make the loop wait.

mod grpc;
mod http;
mod tcp;

pub use grpc::grpc;
pub use http::{any_answer, http_get};
pub use tcp::tcp_socket;

/// What one probe came to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// All is well.
    Success,
    /// So it is, and somebody should know this.
    Warning(String),
    /// It is not, for this reason. Of what others have sent it has a bounded part, on one line.
    Failure(String),
    /// The probe itself could not be made, for this reason.
    Unknown(String),
}
