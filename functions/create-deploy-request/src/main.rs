//! Creates the deploy request of a release, or adopts the one that is open.

mod handler;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    shared::lambda::serve(shared::planetscale::Connection::from_env(), handler::handle).await
}
