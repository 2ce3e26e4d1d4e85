"""Model servers as Deployments and Services."""
