#!/bin/sh
# The seam to wherever models are served: called with a version and the folder of its bundle when that version has got `prod`, by a release and by a rollback.
# It must be safe to run twice, must end only when the version serves, and must exit with another code than 0 when it does not: then the release is taken back.
# Yours may copy the bundle to a server (rsync -a "$2/" host:/srv/model/), build an image, or update an endpoint. As it stands it deploys nowhere and says so.
set -eu
version=$1 bundle=$2
[ -f "$bundle/provenance.json" ] || { echo "deploy: $bundle is no bundle" >&2; exit 1; }
echo "deploy: $version is ready in $bundle; nothing is deployed, because scripts/deploy.sh names no place"
