// Asks for the page again and again and puts what is new into it. Without this script it is the same page, as of when it was loaded.
(() => {
  const EVERY_MS = 30_000;
  /** What somebody has selected, to copy it, is left alone for so many rounds. */
  const MOST_WAITED = 4;
  const WITHIN_MS = 20_000;
  const COPIED_MS = 2000;

  const stale = document.getElementById('stale');
  let shownAt = Date.now();
  let waited = 0;

  function page(root) {
    return root.getElementById('page');
  }

  function showCopyButtons() {
    for (const button of document.querySelectorAll('[data-copy]')) {
      button.hidden = false;
    }
  }

  function isSelecting() {
    const selection = document.getSelection();
    waited = selection !== null && !selection.isCollapsed && waited < MOST_WAITED ? waited + 1 : 0;
    return waited > 0;
  }

  async function load() {
    const response = await fetch('', { cache: 'no-store', signal: AbortSignal.timeout(WITHIN_MS) });
    if (!response.ok) {
      throw new Error(`answer ${response.status}`);
    }
    return new DOMParser().parseFromString(await response.text(), 'text/html');
  }

  function show(next) {
    const [fresh, old] = [page(next), page(document)];
    if (
      fresh === null ||
      next.documentElement.dataset.page !== document.documentElement.dataset.page
    ) {
      // Another version answers now, whose style and script are others.
      location.reload();
      return;
    }
    const focused =
      document.activeElement?.closest('[aria-label]')?.getAttribute('aria-label') ?? null;
    old.replaceChildren(...fresh.childNodes);
    document.title = next.title;
    document.querySelector('link[rel=icon]').href = next.querySelector('link[rel=icon]').href;
    showCopyButtons();
    if (focused !== null) {
      document
        .querySelector(`[aria-label="${CSS.escape(focused)}"]`)
        ?.focus({ preventScroll: true });
    }
  }

  async function refresh() {
    if (document.hidden || isSelecting()) {
      return;
    }
    try {
      show(await load());
      shownAt = Date.now();
      stale.textContent = '';
    } catch {
      const time = new Date(shownAt).toLocaleTimeString();
      stale.textContent = `backupd does not answer. What is shown here is of ${time}.`;
    }
  }

  async function copy(button) {
    const code = button.parentElement.querySelector('code');
    try {
      await navigator.clipboard.writeText(code.textContent);
    } catch {
      // Browsers have no clipboard for pages without TLS; the selection can be copied all the same.
      document.getSelection().selectAllChildren(code);
      document.execCommand('copy');
    }
    button.textContent = 'Copied';
    setTimeout(() => {
      button.textContent = 'Copy';
    }, COPIED_MS);
  }

  document.addEventListener('click', (event) => {
    const button = event.target.closest('[data-copy]');
    if (button !== null) {
      void copy(button);
    }
  });
  document.addEventListener('visibilitychange', () => {
    if (Date.now() - shownAt > EVERY_MS) {
      void refresh();
    }
  });
  showCopyButtons();
  setInterval(refresh, EVERY_MS);
})();
