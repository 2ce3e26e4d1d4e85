"""The whole platform on a Kubernetes cluster: installed, the story played, pods deleted, upgraded and rolled back."""
