# Sourced by quickstart and run-tests: installs what is missing, configures, builds.
build_folder=build/release
build_log=$build_folder/build.log

say() { printf '%s\n' "$*"; }

# The packages of the named sections of packages.txt, one a line.
packages_of() {
  local section
  for section in "$@"; do
    sed -n "/^\\[$section\\]/,/^\\[/{/^[a-z]/p}" packages.txt
  done
}

# Of the packages on standard input, those that are not installed.
missing_of() {
  local wanted installed
  wanted=$(cat)
  # shellcheck disable=SC2086
  installed=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' $wanted 2>/dev/null | sed -n 's/ installed$//p') || true
  grep -vxF -f <(say "$installed") <<< "$wanted"
}

as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif command -v sudo > /dev/null; then
    sudo "$@"
  else
    say "root is needed to run: $*" >&2
    say "Log in as root or install sudo, and start again." >&2
    return 1
  fi
}

# install_packages SECTION…: sets `installed_any`.
install_packages() {
  local missing
  installed_any=no
  if ! command -v dpkg-query > /dev/null || ! command -v apt-get > /dev/null; then
    say "This is not a Debian system. Packages with these names, or your system's like them, must be there:"
    packages_of "$@" | paste -sd ' ' | fold -s -w 100
    return 0
  fi
  missing=$(packages_of "$@" | missing_of) || true
  [ -z "$missing" ] && return 0
  say "installing $(wc -l <<< "$missing") Debian packages: $(paste -sd ' ' <<< "$missing")"
  mkdir -p "$build_folder"
  # shellcheck disable=SC2086
  if ! { as_root apt-get update \
      && as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing; } \
      > "$build_folder/install.log" 2>&1; then
    tail -n 20 "$build_folder/install.log" >&2
    say "The packages could not be installed; all of the output is in $build_folder/install.log." >&2
    return 1
  fi
  installed_any=yes
}

# On a terminal one line that counts up; elsewhere nothing.
show_progress() {
  local line
  while IFS= read -r line; do
    if [ -t 1 ] && [[ $line =~ ^\[([0-9]+)/([0-9]+)\] ]]; then
      printf '\r  %s of %s steps ' "${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}"
    fi
  done
  if [ -t 1 ]; then
    printf '\r\033[K'
  fi
}

# build TARGET…: sets `built_any`.
build() {
  local target options=()
  for target in "$@"; do
    options+=(--target "$target")
  done
  mkdir -p "$build_folder"
  if [ ! -f "$build_folder/build.ninja" ]; then
    say "configuring $build_folder"
    if ! cmake --preset release > "$build_folder/configure.log" 2>&1; then
      tail -n 30 "$build_folder/configure.log" >&2
      say "The configuration failed; all of the output is in $build_folder/configure.log." >&2
      return 1
    fi
  fi
  if [ -f "$build_log" ]; then
    say "bringing the build up to date"
  else
    say "building (some minutes)"
  fi
  if ! cmake --build --preset release "${options[@]}" 2>&1 | tee "$build_log" | show_progress; then
    grep -E -A 20 'FAILED|error:' "$build_log" | head -n 60 >&2
    say "The build failed; all of the output is in $build_log." >&2
    return 1
  fi
  built_any=yes
  if ! grep -q '^\[[0-9]*/[0-9]*\] \(Building\|Linking\)' "$build_log"; then
    built_any=no
  fi
}
