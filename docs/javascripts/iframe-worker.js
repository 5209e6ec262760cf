// Browsers start no worker for a page that is opened from disk: there the search runs in a hidden frame.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super()
      const frame = document.createElement("iframe")
      frame.hidden = true
      document.body.append(frame)
      this.inner = frame.contentWindow
      this.ready = new Promise(resolve => {
        this.inner.postMessage = data => this.dispatchEvent(new MessageEvent("message", { data }))
        const script = this.inner.document.createElement("script")
        script.onload = resolve
        script.src = new URL(url, location.href).href
        this.inner.document.body.append(script)
      })
    }

    set onmessage(heard) {
      this.addEventListener("message", heard)
    }

    postMessage(data) {
      this.ready.then(() => this.inner.dispatchEvent(new MessageEvent("message", { data })))
    }

    terminate() {
      this.inner.frameElement.remove()
    }
  }
}
