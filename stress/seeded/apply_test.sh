#!/usr/bin/env bash
# apply_test.sh TREE: each patch of stress/seeded applies to the tree as it is
#
# With fuzz 0: a hunk may have moved, its lines must be there.
set -u
tree=$1 failed=0 count=0
for patch in "$tree"/stress/seeded/*.patch; do
    count=$((count + 1))
    patch -d "$tree" -p1 --dry-run --force --fuzz=0 -s -i "$patch" || {
        echo "apply_test.sh: $(basename "$patch") does not apply" >&2
        failed=1
    }
done
[ "$count" -ge 12 ] || failed=1
exit $failed
