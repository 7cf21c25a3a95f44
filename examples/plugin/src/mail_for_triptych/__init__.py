"""Mail in Triptych's pipelines."""
