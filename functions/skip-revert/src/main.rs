//! Closes the revert window of a deploy request, so that the deploy queue is free.

mod handler;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    shared::lambda::serve(shared::planetscale::Connection::from_env(), handler::handle).await
}
