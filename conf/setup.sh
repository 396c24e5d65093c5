# Sourced by ./serve and ./check, in the repository's root: what both need on a fresh Debian 12 machine.

BUILD_PACKAGES=(g++ cmake ninja-build ccache pkg-config libboost1.81-dev libboost-json1.81-dev libcaf-dev
  libtorch-dev libopenblas0-openmp libpcre2-dev libutf8proc-dev libsodium-dev libxxhash-dev libspdlog-dev
  libcli11-dev libjs-chart.js prometheus-cpp-dev libsqlite3-dev libssl-dev libhiredis-dev libhnswlib-dev
  python3 python3-pip)
FUZZ_PACKAGES=(clang-16 libclang-rt-16-dev) # tests/fuzz/run; Debian's clang 14 does not compile our coroutines
TEST_PACKAGES=(libgtest-dev librapidcheck-dev libvalijson-dev python3-venv git openssl clang-format doxygen redis-tools
  chromium chromium-driver)

say() { printf '== %s\n' "$*" >&2; }

# install_packages NAME...: installs those that are missing, after saying which.
install_packages() {
  local missing=() package
  for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
      say "These Debian packages are missing, and this user may not install them: ${missing[*]}"
      exit 1
    fi
    as_root=(sudo)
  fi
  say "installing Debian packages: ${missing[*]}"
  "${as_root[@]}" apt-get update -qq
  DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
}

# configure PRESET OPTION...
configure() {
  say "configuring build/$1"
  cmake --preset "$@" >&2
}

# build PRESET TARGET...: what changed in a configured tree.
build() {
  local preset=$1
  shift
  say "building $* in build/$preset"
  cmake --build "build/$preset" --target "$@" >&2
}
