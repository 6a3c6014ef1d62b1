//! Closes a deploy request that will not be deployed.

mod handler;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    shared::lambda::serve(shared::planetscale::Connection::from_env(), handler::handle).await
}
